#!/bin/bash
# A real Kubernetes cluster on one machine, in its own mount, network and
# process namespaces: nothing of it is seen or reached from outside but the API
# server on a loopback port.
#
#   kube.sh up                  make a new cluster (NODES=2 kube.sh up: with two nodes)
#   kube.sh down                end it, with every process, mount and cgroup it made
#   kube.sh status              which of its programs run, by pid
#   kube.sh load IMAGE.tar...   put images into every node's containerd
#   kube.sh exec CMD...         run a program in the first node's namespaces
#   kube.sh kubectl ARGS...     kubectl with the admin's kubeconfig
#   kube.sh stop NAME           kill -9 one program; start NAME: start it again
# Variables: KUBE_PROGRAMS (what build.sh has built), KUBE_STATE (data, logs, certificates), KUBE_PORT, and KUBE_OWNER, the pid of
# a process with whose end the cluster ends too. Two clusters at a time need a state and a port each.
#
# While there is a cluster, the processes that it hangs on hold a lock on $KUBE_STATE.lock: who has that file open is of this
# cluster, whatever became of the numbers in pids.
set -Eeuo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PROGRAMS=${KUBE_PROGRAMS:-$("$HERE/build.sh" where)}
BIN=$PROGRAMS/bin
IMAGES=$PROGRAMS/images
ADDONS=${KUBE_ADDONS:-$HERE/manifests} # a folder of manifests
S=$(realpath -m "${KUBE_STATE:-$(dirname "$("$HERE/build.sh" where)")/state}")
PATH=$PATH:/usr/sbin:/sbin
PORT=${KUBE_PORT:-6443}          # the API server's on 127.0.0.1, outside the namespaces
NODES=${NODES:-1}
CG=kube-$(cksum <<<"$S" | cut -d' ' -f1) # the pods' cgroup: in every v1 hierarchy, or in the one of v2
SVC_CIDR=10.96.0.0/16
POD_CIDR=10.244.0.0/16
DNS_IP=10.96.0.10
CONTAINERD=${CONTAINERD:-containerd}
CTR=${CTR:-ctr}
CNI_BIN=${CNI_BIN:-/usr/lib/cni}
PROXY_MODE=${PROXY_MODE:-nftables}
export KUBECONFIG=$S/pki/admin.kubeconfig

now() { date +%T.%N | cut -c1-12; }
pid_of() { cat "$S/pids/$1" 2>/dev/null || true; }
# held: the pids of all that have the lock's file open.
held() { find /proc/[0-9]*/fd -maxdepth 1 -lname "$(sed 's/[][*?\\]/\\&/g' <<<"$S.lock")" 2>/dev/null | cut -d/ -f3 | sort -u; }
# alive NAME: its number may be another's by now. What does not hold the lock is in a node's PID namespace.
alive() {
  local p n h; p=$(pid_of "$1"); n=$(readlink "/proc/${p:-none}/ns/pid") || return 1
  for h in "$S"/pids/holder*; do [ "$n" != "$(readlink "/proc/$(cat "$h")/ns/pid")" ] || return 0; done
  held | grep -qx "$p"
}
node_ip() { echo "10.200.0.$((1 + $1))"; }
in_node() { local h; h=$(pid_of "holder$1"); shift; nsenter --target "$h" --mount --net --pid -- "$@"; }
kc() { "$BIN/kube" kubectl "$@"; }

# start NODE NAME CMD...: run a program inside a node's namespaces. Its pid (as
# seen outside) goes to pids/NAME, its output to logs/NAME.log.
start() {
  local node=$1 name=$2 h; h=$(pid_of "holder$1"); shift 2
  printf '%s\n' "$node" "$name" "$@" >"$S/cmds/$name"
  setsid nsenter --target "$h" --mount --net --pid -- "$@" </dev/null >>"$S/logs/$name.log" 2>&1 9>&- &
  local p=$! c=
  for _ in $(seq 200); do # nsenter's child, once it is no longer nsenter, is the program
    c=$(tr -d ' ' <"/proc/$p/task/$p/children" 2>/dev/null) || true
    [ -n "$c" ] && [ "$(cat "/proc/$c/comm" 2>/dev/null)" != nsenter ] && break
    sleep 0.02
  done
  echo "${c:-$p}" >"$S/pids/$name"
}

wait_for() { # wait_for SECONDS WHAT CMD...
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge $end ]; then echo "kube.sh: gave up waiting for $what; see $S/logs" >&2; return 1; fi
    sleep 0.1
  done
  echo "$(now) $what"
}

# The owner may be killed without a word: a process that waits for its end takes the cluster down then.
watch_owner() {
  setsid bash -c 'tail --pid="$0" -f /dev/null; exec "$1" down 9>&-' "$KUBE_OWNER" "$HERE/kube.sh" </dev/null >"$S/logs/owner.log" 2>&1 &
  echo $! >"$S/pids/owner"
}

# hold N: the namespaces of node N, kept by process 1 of its pid namespace. It has the lock from its first moment on, before its
# number is written anywhere: `down` finds it even if `up` was killed in between.
hold() {
  local n=$1 unshare child=
  setsid unshare --mount --net --pid --fork --mount-proc --propagation private --kill-child \
    "$BIN/nodens" hold </dev/null >"$S/logs/holder$n.log" 2>&1 &
  unshare=$!
  for _ in $(seq 200); do
    child=$(tr -d ' ' <"/proc/$unshare/task/$unshare/children" 2>/dev/null) || true
    [ -n "$child" ] && [ "$(cat "/proc/$child/comm" 2>/dev/null)" = nodens ] && break
    sleep 0.02
  done
  echo "$child" >"$S/pids/holder$n"
  mkdir -p "$S/node$n"/{kubelet,log/containers,log/pods,cni,ipam}
  in_node "$n" sh -euc "
    mount -t tmpfs tmpfs /run
    mkdir -p /run/netns /run/lock /run/containerd /var/log/containers /var/lib/cni /var/lib/kubelet
    mount -t tmpfs tmpfs /var/lib/cni      # libcni's cache and kubelet's device-plugins
    mount -t tmpfs tmpfs /var/lib/kubelet  # socket lie here whatever the settings say
    mount --bind '$S/node$n/log/containers' /var/log/containers
    ip link set lo up
    echo 1 >/proc/sys/net/ipv4/ip_forward
    bridge=/proc/sys/net/bridge/bridge-nf-call-iptables
    [ ! -e \$bridge ] || echo 1 >\$bridge"
  # Each further node has a veth to node 0, which routes between them (a bridge
  # would not do: br_netfilter would track its frames twice). The default route
  # is what lets a node send to a Service address before it is translated.
  if [ "$n" = 0 ]; then
    in_node 0 sh -euc "
      ip link add eth0 type veth peer name eth0-far; ip link set eth0-far up
      ip addr add $(node_ip 0)/32 dev eth0; ip link set eth0 up; ip route add default dev eth0"
  else
    nsenter --target "$(pid_of holder0)" --net -- sh -euc "
      ip link add node$n type veth peer name eth0 netns $child
      ip addr add $(node_ip 0)/32 peer $(node_ip "$n")/32 dev node$n; ip link set node$n up"
    in_node "$n" sh -euc "
      ip addr add $(node_ip "$n")/32 peer $(node_ip 0)/32 dev eth0; ip link set eth0 up
      ip route add default via $(node_ip 0)"
  fi
}

runtime_up() { # containerd and the images
  local n=$1 t tars=()
  containerd_config "$n" >"$S/node$n/containerd.toml"
  start "$n" "containerd$n" "$CONTAINERD" --config "$S/node$n/containerd.toml"
  wait_for 60 "node$n containerd" in_node "$n" "$CTR" version
  for t in "$IMAGES"/*.tar; do [ -e "$t" ] && tars+=("$t"); done
  [ ${#tars[@]} = 0 ] || load_node "$n" "${tars[@]}"
}

# cgroups N: the cgroup of node N's pods: kubelet wants it made.
cgroups() {
  local n=$1 h f d
  for h in /sys/fs/cgroup/*/; do
    grep -q " ${h%/} cgroup " /proc/mounts || continue
    mkdir -p "$h$CG/node$n"
    if [ -e "$h/cpuset.cpus" ]; then
      for f in cpuset.cpus cpuset.mems; do
        [ -n "$(cat "$h$CG/$f")" ] || cat "$h/${f/./.effective_}" >"$h$CG/$f"
        [ -n "$(cat "$h$CG/node$n/$f")" ] || cat "$h$CG/$f" >"$h$CG/node$n/$f"
      done
    fi
  done
  [ -e /sys/fs/cgroup/cgroup.controllers ] || return 0
  mkdir -p "/sys/fs/cgroup/$CG/node$n"
  for d in /sys/fs/cgroup "/sys/fs/cgroup/$CG" "/sys/fs/cgroup/$CG/node$n"; do
    for f in $(cat "$d/cgroup.controllers"); do # one by one: kubelet says itself which one it lacks
      echo "+$f" 2>/dev/null >"$d/cgroup.subtree_control" || true
    done
  done
}
cgroups_left() { find /sys/fs/cgroup -mindepth 1 -maxdepth 2 -type d -name "$CG"; }

node_up() {
  local n=$1 cidr
  cgroups "$n"
  kubelet_config "$n" >"$S/node$n/kubelet.yaml"; proxy_config "$n" >"$S/node$n/kube-proxy.yaml"; : >"$S/node$n/resolv.conf"
  start "$n" "kubelet$n" "$BIN/kube" kubelet --config "$S/node$n/kubelet.yaml" \
    --kubeconfig "$S/pki/inner/kubelet-node$n.kubeconfig" --hostname-override "node$n" --node-ip "$(node_ip "$n")" \
    --root-dir "$S/node$n/kubelet" --cert-dir "$S/node$n/kubelet/pki" --housekeeping-interval 5s ${KUBELET_ARGS:-}
  start "$n" "kube-proxy$n" "$BIN/kube" kube-proxy --config "$S/node$n/kube-proxy.yaml"
  wait_for 60 "node$n registered" has_cidr "$n"
  cidr=$(kc get node "node$n" -o 'jsonpath={.spec.podCIDR}')
  cni_config "$n" "$cidr" >"$S/node$n/cni/10-bridge.conflist" # in place: containerd misses a rename into the folder
  [ "$n" = 0 ] || in_node 0 ip route add "$cidr" via "$(node_ip "$n")" dev "node$n"
  wait_for 90 "node$n Ready" node_ready "$n"
}
has_cidr() { [ -n "$(kc get node "node$1" -o 'jsonpath={.spec.podCIDR}')" ]; }
node_ready() { kc get node "node$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -q True; }

# What a cluster was made of: another is not taken for it.
made_of() { echo "$NODES node(s), port $PORT, $PROGRAMS"; }
is_ready() { [ -e "$S/ready" ] && kc get --raw /readyz --request-timeout=5s >/dev/null 2>&1; }

# claim: takes the lock, and ends first what is left of a cluster that is none any more. 1: there is one, as is wanted.
claim() {
  local p
  mkdir -p "${S%/*}"
  exec 9>>"$S.lock"
  if flock -n 9; then swept || fail "take it away by hand"; return 0; fi
  if is_ready; then
    [ -z "${KUBE_OWNER:-}" ] || fail "there is another's cluster in $S"
    [ "$(cat "$S/ready")" = "$(made_of)" ] || fail "there is a cluster of $(cat "$S/ready"): take it down first"
    return 1
  fi
  for p in $(held); do
    case $(cat "/proc/$p/comm" 2>/dev/null) in
      bash | kube.sh) [ "$p" = $$ ] || [ "$p" = "$(pid_of owner)" ] || fail "another makes a cluster in $S at this moment" ;;
    esac
  done
  echo "kube.sh: what is left of a cluster in $S is ended" >&2
  down >/dev/null && flock -w 10 9 || fail "it does not end"
}
fail() { echo "kube.sh: $1" >&2; exit 1; }

# Nobody may listen any more, and a signal may come again: what has begun is ended all the same.
broken_off() {
  [ $BASHPID = $$ ] || return 0 # a subshell's failure is its caller's to judge
  trap '' INT TERM HUP PIPE; trap - ERR
  echo "kube.sh: up $1; logs in $S/logs" >&2 || true
  down >>"$S/logs/down.log" 2>&1
  exit 1
}

up() {
  if ! claim; then echo "already up"; echo "export KUBECONFIG=$KUBECONFIG"; return 0; fi
  rm -rf "$S"; mkdir -p "$S"/{pids,logs,cmds,audit}
  trap 'broken_off failed' ERR
  trap 'broken_off "was broken off"' INT TERM HUP PIPE
  [ -z "${KUBE_OWNER:-}" ] || watch_owner
  echo "$(now) start"
  # Modules are loaded by nobody in a namespace. Where they are part of the kernel there may be no modprobe.
  modprobe -a br_netfilter overlay 2>/dev/null || true
  local n names=node0 P=$S/pki c
  for ((n = 1; n < NODES; n++)); do names=$names,node$n; done
  for ((n = 0; n < NODES; n++)); do hold "$n"; done
  # First of all: the port may be taken.
  setsid "$BIN/nodens" nsforward -listen "127.0.0.1:$PORT" -to 127.0.0.1:6443 -netns "/proc/$(pid_of holder0)/ns/net" \
    </dev/null >"$S/logs/nsforward.log" 2>&1 &
  echo $! >"$S/pids/nsforward"
  wait_for 10 "way to port $PORT" test -s "$S/logs/nsforward.log"
  grep '^listening on ' "$S/logs/nsforward.log" || { cat "$S/logs/nsforward.log" >&2; false; }

  "$BIN/nodens" pki -dir "$P" -nodes "$names" -server "https://127.0.0.1:$PORT" -sans "127.0.0.1,$(node_ip 0),10.96.0.1"
  mkdir -p "$P/inner" # the same kubeconfigs with the address that the nodes use
  for c in "$P"/*.kubeconfig; do
    sed "s#https://127.0.0.1:$PORT#https://$(node_ip 0):6443#" "$c" >"$P/inner/${c##*/}"
  done

  start 0 etcd "$BIN/kube" etcd --name e0 --data-dir "$S/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster e0=http://127.0.0.1:2380
  start 0 kube-apiserver "$BIN/kube" kube-apiserver --etcd-servers http://127.0.0.1:2379 \
    --bind-address 0.0.0.0 --secure-port 6443 --advertise-address "$(node_ip 0)" \
    --service-cluster-ip-range $SVC_CIDR --allow-privileged=true \
    --tls-cert-file "$P/apiserver.crt" --tls-private-key-file "$P/apiserver.key" --client-ca-file "$P/ca.crt" \
    --kubelet-client-certificate "$P/apiserver-kubelet-client.crt" --kubelet-client-key "$P/apiserver-kubelet-client.key" \
    --kubelet-preferred-address-types InternalIP \
    --service-account-key-file "$P/sa.pub" --service-account-signing-key-file "$P/sa.key" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --requestheader-client-ca-file "$P/front-proxy-ca.crt" --requestheader-allowed-names front-proxy-client \
    --requestheader-extra-headers-prefix X-Remote-Extra- --requestheader-group-headers X-Remote-Group \
    --requestheader-username-headers X-Remote-User \
    --proxy-client-cert-file "$P/front-proxy-client.crt" --proxy-client-key-file "$P/front-proxy-client.key" \
    --enable-aggregator-routing=true --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --audit-policy-file "$HERE/audit-policy.yaml" --audit-log-path "$S/audit/audit.log" --audit-log-mode blocking \
    --audit-log-maxsize 4096 \
    --profiling=false ${APISERVER_ARGS:-}
  for ((n = 0; n < NODES; n++)); do runtime_up "$n"; done
  wait_for 120 "apiserver ready" kc get --raw /readyz

  start 0 kube-controller-manager "$BIN/kube" kube-controller-manager --kubeconfig "$P/inner/controller-manager.kubeconfig" \
    --authentication-kubeconfig "$P/inner/controller-manager.kubeconfig" --authorization-kubeconfig "$P/inner/controller-manager.kubeconfig" \
    --leader-elect=false --use-service-account-credentials --service-account-private-key-file "$P/sa.key" \
    --root-ca-file "$P/ca.crt" --cluster-signing-cert-file "$P/ca.crt" --cluster-signing-key-file "$P/ca.key" \
    --allocate-node-cidrs --cluster-cidr $POD_CIDR --service-cluster-ip-range $SVC_CIDR \
    --horizontal-pod-autoscaler-sync-period 5s --horizontal-pod-autoscaler-cpu-initialization-period 10s \
    --horizontal-pod-autoscaler-initial-readiness-delay 5s ${KCM_ARGS:-}
  start 0 kube-scheduler "$BIN/kube" kube-scheduler --kubeconfig "$P/inner/scheduler.kubeconfig" --leader-elect=false \
    --authentication-kubeconfig "$P/inner/scheduler.kubeconfig" --authorization-kubeconfig "$P/inner/scheduler.kubeconfig"
  for ((n = 0; n < NODES; n++)); do node_up "$n"; done

  if compgen -G "$ADDONS/*.yaml" >/dev/null; then
    for c in "$ADDONS"/*.yaml; do kc apply -f "$c" >>"$S/logs/addons.log"; done
    wait_for 90 "DNS ready" kc -n kube-system wait --for=condition=Available deploy/coredns --timeout=60s
    wait_for 90 "metrics ready" kc get --raw /apis/metrics.k8s.io/v1beta1/nodes/node0
  fi
  made_of >"$S/ready"
  trap - ERR INT TERM HUP PIPE
  echo "export KUBECONFIG=$KUBECONFIG"
}

load_node() { local n=$1 t; shift; for t in "$@"; do in_node "$n" "$CTR" -n k8s.io images import "$(readlink -f "$t")" >>"$S/logs/images.log" 2>&1; done; }
load() { local h; for h in "$S"/pids/holder*; do load_node "${h##*holder}" "$@"; done; }

containerd_config() {
  cat <<T
version = 2
root = "$S/node$1/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$S/node$1/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.local/pause:1"
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$CNI_BIN"
    conf_dir = "$S/node$1/cni"
T
}

cni_config() {
  cat <<T
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$S/node$1/ipam", "ranges": [[{"subnet": "$2"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
T
}

kubelet_config() {
  cat <<T
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication:
  x509: {clientCAFile: $S/pki/ca.crt}
  webhook: {enabled: true}
  anonymous: {enabled: false}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
cgroupRoot: /$CG/node$1
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
maxOpenFiles: 20000
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: $S/node$1/resolv.conf
podLogsDir: $S/node$1/log/pods
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
imageGCHighThresholdPercent: 100
syncFrequency: 10s
nodeStatusUpdateFrequency: 5s
T
}

proxy_config() {
  cat <<T
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $S/pki/inner/proxy.kubeconfig}
hostnameOverride: node$1
mode: $PROXY_MODE
clusterCIDR: $POD_CIDR
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
T
}

down() {
  local p h pids=()
  # The end of process 1 of a pid namespace ends every shim and container in it, and the end of the last of them its mounts and
  # network. An `up` that is at work goes first: it would start more.
  for p in $(held); do
    [ "$p" != $$ ] || continue
    pids+=("$p")
    case $(cat "/proc/$p/comm" 2>/dev/null) in bash | kube.sh) kill -9 "$p" 2>/dev/null || true ;; esac
  done
  for p in "${pids[@]}"; do kill -9 "$p" 2>/dev/null || true; done
  for h in "$S"/pids/holder*; do # those that somebody else has killed just now
    p=$(cat "$h" 2>/dev/null) && [ "$(cat "/proc/$p/comm" 2>/dev/null)" = nodens ] && pids+=("$p")
  done
  swept "${pids[@]}" || return 1
  rm -rf "$S/pids" "$S/ready"
  echo down
}

# swept PID...: that these are gone, and the pods' cgroups.
swept() {
  local p left=()
  for p in "$@"; do for _ in $(seq 500); do gone "$p" && break; sleep 0.02; done; done
  for _ in $(seq 200); do
    mapfile -t left < <(cgroups_left)
    [ ${#left[@]} != 0 ] || break
    find "${left[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true
    sleep 0.05
  done
  for p in "$@"; do gone "$p" || left+=("process $p"); done
  [ ${#left[@]} = 0 ] || { echo "kube.sh: still there: ${left[*]}" >&2; return 1; }
}
gone() { [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

status() {
  local f n
  for f in "$S"/pids/*; do
    [ -e "$f" ] || { echo "no cluster"; return 1; }
    n=${f##*/}; if alive "$n"; then echo "$n up pid $(pid_of "$n")"; else echo "$n down"; fi
  done
}

cmd=${1:-}; [ $# -gt 0 ] && shift
case $cmd in
  up|down|status) "$cmd" ;;
  load) load "$@" ;;
  exec) in_node 0 sh -c 'cd "$0" && exec "$@"' "$PWD" "$@" ;;
  kubectl) kc "$@" ;;
  stop) alive "$1" || fail "$1 does not run"; kill -9 "$(pid_of "$1")" ;;
  start) mapfile -t c <"$S/cmds/$1"; start "${c[@]}" ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
