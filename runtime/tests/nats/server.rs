//! Real nats-servers for the tests of one process: started, killed on drop, kept off the network.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The program: `NATS_SERVER`, or what `PATH` has. `None`, after saying so, where there is none: CI always sets it.
pub fn program() -> Option<PathBuf> {
    if let Some(set) = std::env::var_os("NATS_SERVER") {
        let path = PathBuf::from(set);
        assert!(path.is_file(), "NATS_SERVER {} is no file", path.display());
        return Some(path);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join("nats-server"))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("skipped: no nats-server in NATS_SERVER or PATH");
    }
    found
}

/// What a server on this machine needs at most, however busy that is.
const PATIENCE: Duration = Duration::from_secs(60);

/// One or more servers, and what they keep.
pub struct Servers {
    program: PathBuf,
    folder: TempDir,
    nodes: Vec<Node>,
}

struct Node {
    config: PathBuf,
    client_port: u16,
    process: Option<Child>,
}

impl Servers {
    /// One server, with these further lines in its configuration.
    pub fn one(program: &Path, lines: &str) -> Self {
        Self::start(program, 1, lines)
    }

    /// Three that form a cluster.
    pub fn three(program: &Path) -> Self {
        Self::start(program, 3, "")
    }

    fn start(program: &Path, count: usize, lines: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let ports = free_ports(count * 2);
        let (clients, routes) = ports.split_at(count);
        let nodes = (0..count).map(|at| {
            let config = folder.path().join(format!("{at}.conf"));
            let store = folder.path().join(format!("store-{at}"));
            let mut text = format!(
                "server_name: n{at}\nlisten: \"127.0.0.1:{}\"\n\
                 jetstream {{ store_dir: \"{}\", max_mem: 256M, max_file: 2G }}\n{lines}\n",
                clients[at],
                store.display()
            );
            if count > 1 {
                let urls = routes
                    .iter()
                    .map(|port| format!("\"nats://127.0.0.1:{port}\""));
                let urls: Vec<String> = urls.collect();
                text += &format!(
                    "cluster {{ name: test, listen: \"127.0.0.1:{}\", routes: [{}] }}\n",
                    routes[at],
                    urls.join(", ")
                );
            }
            std::fs::write(&config, text).unwrap();
            Node {
                config,
                client_port: clients[at],
                process: None,
            }
        });
        let nodes = nodes.collect();
        let mut servers = Self {
            program: program.to_path_buf(),
            folder,
            nodes,
        };
        for at in 0..count {
            servers.restart(at);
        }
        servers
    }

    /// The addresses of all.
    pub fn urls(&self) -> Vec<String> {
        let url = |node: &Node| format!("nats://127.0.0.1:{}", node.client_port);
        self.nodes.iter().map(url).collect()
    }

    /// Ends one at once, as `kill -9` does.
    pub fn kill(&mut self, at: usize) {
        if let Some(mut process) = self.nodes[at].process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts one (anew), and waits until it takes connections.
    pub fn restart(&mut self, at: usize) {
        let log = self.folder.path().join(format!("{at}.log"));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        let node = &mut self.nodes[at];
        let process = Command::new(&self.program)
            .arg("--config")
            .arg(&node.config)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        node.process = Some(process);
        let address = format!("127.0.0.1:{}", node.client_port);
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "no server");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(mut process) = node.process.take() {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
        if std::thread::panicking() {
            for at in 0..self.nodes.len() {
                let log = std::fs::read_to_string(self.folder.path().join(format!("{at}.log")));
                let log = log.unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = &lines[lines.len().saturating_sub(15)..];
                eprintln!("--- server {at}\n{}", tail.join("\n"));
            }
        }
    }
}

/// Ports that were free just now. All are held at once, so that none comes twice.
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    held.iter().map(port).collect()
}

/// Sends one message as somebody who speaks the protocol by hand, and gives the first answer's text; empty if there is
/// none to that subject.
pub fn raw_publish(url: &str, subject: &str, text: &str) -> String {
    let stream = TcpStream::connect(url.trim_start_matches("nats://")).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let length = text.len();
    write!(
        stream,
        "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true}}\r\nSUB raw.answer 1\r\n\
         PUB {subject} raw.answer {length}\r\n{text}\r\nPING\r\n"
    )
    .unwrap();
    // A stream that acknowledges nothing leaves the pong as the only answer; an API's comes after it.
    let wants_answer = !subject.starts_with("kline.");
    loop {
        line.clear();
        lines.read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["PONG"] if !wants_answer => return String::new(),
            ["MSG", .., length] => {
                let mut payload = vec![0; length.parse().unwrap()];
                lines.read_exact(&mut payload).unwrap();
                return String::from_utf8(payload).unwrap();
            }
            ["HMSG", ..] => return String::new(),
            _ => {}
        }
    }
}

/// Somebody who speaks the protocol by hand, as a user.
pub struct Raw {
    lines: BufReader<TcpStream>,
}

impl Raw {
    pub fn connect(url: &str, user: &str, password: &str) -> Self {
        let stream = TcpStream::connect(url.trim_start_matches("nats://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut raw = Self {
            lines: BufReader::new(stream),
        };
        raw.send(&format!(
            "CONNECT {{\"verbose\":false,\"headers\":true,\"no_responders\":true,\"user\":\"{user}\",\"pass\":\"{password}\"}}"
        ));
        assert_eq!(raw.says(), [""; 0]);
        raw
    }

    /// Sends a line, and what follows it.
    pub fn send(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        self.lines.get_mut().write_all(line.as_bytes()).unwrap();
    }

    pub fn publish(&mut self, subject: &str) {
        self.send(&format!("PUB {subject} 0\r\n"));
    }

    /// What the server has said against all that was sent so far.
    pub fn says(&mut self) -> Vec<String> {
        self.send("PING");
        let mut errors = Vec::new();
        loop {
            let line = self.line();
            if line == "PONG" {
                return errors;
            }
            errors.extend(line.strip_prefix("-ERR ").map(str::to_owned));
        }
    }

    /// The subject of the next message.
    pub fn message(&mut self) -> String {
        loop {
            let line = self.line();
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["MSG" | "HMSG", subject, _, .., length] = words[..] {
                // And the end of its line.
                let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                self.lines.read_exact(&mut payload).unwrap();
                return subject.to_owned();
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.lines.read_line(&mut line).unwrap();
        assert!(length > 0, "the server has hung up");
        line.trim_end().to_owned()
    }
}
