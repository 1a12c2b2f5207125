package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// dialMax is how long an address may take to answer: it is on this machine.
const dialMax = 5 * time.Second

// nsforward listens on an address of the namespace it is started in and
// carries each connection to an address inside another network namespace. It
// is how a program outside the cluster's namespaces reaches what is in them.
// Its first line of output says where it listens.
func nsforward(args []string) error {
	fs := flag.NewFlagSet("nsforward", flag.ExitOnError)
	listen := fs.String("listen", "127.0.0.1:6443", "address to listen on, in this namespace; any port if it is 0")
	netns := fs.String("netns", "", "path of the network namespace to dial in, such as /proc/PID/ns/net")
	to := fs.String("to", "127.0.0.1:6443", "address to dial in that namespace")
	_ = fs.Parse(args)

	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	ns, err := os.Open(*netns)
	if err != nil {
		return err
	}
	// A namespace that cannot be entered is an error now and not with each connection.
	if err := enter(ns); err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr(), "for", *to)
	for {
		in, err := l.Accept()
		if err != nil {
			return err
		}
		go carry(in, ns, *to)
	}
}

// enter tries to enter a namespace, on a thread that is given up after it.
func enter(ns *os.File) error {
	done := make(chan error)
	go func() {
		// Never unlocked: the thread stays in the other namespace and ends with this function.
		runtime.LockOSThread()
		done <- unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
	}()
	return <-done
}

// carry copies both ways until both have ended. Where nobody answers, the client's connection is closed.
func carry(in net.Conn, ns *os.File, to string) {
	defer in.Close()
	out, err := dial(ns, to)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer out.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyOneWay(out, in)
	}()
	copyOneWay(in, out)
	<-done
}

// copyOneWay hands on the end of a stream as such; a reset ends the other side too.
func copyOneWay(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = to.(*net.TCPConn).CloseWrite()
}

// dial opens a connection whose socket is made in a namespace: a socket stays where it was made.
func dial(ns *os.File, to string) (net.Conn, error) {
	type outcome struct {
		conn net.Conn
		err  error
	}
	done := make(chan outcome)
	go func() {
		runtime.LockOSThread() // as in enter
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- outcome{nil, err}
			return
		}
		conn, err := net.DialTimeout("tcp", to, dialMax)
		done <- outcome{conn, err}
	}()
	o := <-done
	return o.conn, o.err
}
