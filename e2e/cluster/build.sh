#!/bin/bash
# Builds what a cluster is made of: programs into bin, images into images, both in one folder for each state of the sources, so
# that what older sources made is never taken for theirs.
#   build.sh            all of it
#   build.sh programs   kube and nodens alone: an API server without nodes needs no more
#   build.sh where      prints the folder, and builds nothing
#   build.sh packages   prints Debian's packages that are missing
#   build.sh nodes      prints why this machine can have no nodes; nothing if it can
# Needs Go 1.26 or later, gcc and Python. Nothing is installed here: `cargo xtask e2e up` does that.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
V=$(sed -n 's#^\sk8s.io/kubernetes ##p' "$HERE/kube/go.mod") METRICS=v0.9.0
SETS=${XDG_CACHE_HOME:-$HOME/.cache}/marketfeed/kube
KEY=$(cd "$HERE" && find build.sh mkimage.py kube -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
SET=$SETS/$KEY
B=$SET/bin I=$SET/images

packages() {
  local x need=()
  for x in containerd:containerd runc:runc nft:nftables iptables:iptables conntrack:conntrack ip:iproute2; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${x%%:*}" >/dev/null || need+=("${x##*:}")
  done
  [ -x /usr/lib/cni/bridge ] || need+=(containernetworking-plugins)
  # Debian has a dynamic one in the same place: only the static one runs in an image of its own.
  [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || need+=(busybox-static)
  echo "${need[*]:-}"
}

nodes() {
  if [ "$(id -u)" != 0 ]; then echo "nodes need root, for namespaces of their own"
  elif ! unshare --mount --net --pid --fork true 2>/dev/null; then echo "nodes need namespaces of their own, and this machine lets nobody make them"
  elif [ -e /sys/fs/cgroup/cgroup.controllers ] && [ "${E2E_CGROUP_V2:-}" != 1 ]; then
    echo "this machine has cgroup v2 only, which the cluster was not tried on (E2E_CGROUP_V2=1 tries it)"
  fi
}

# Sets that nobody has asked for in two weeks: each is a third of a gigabyte.
forget() { find "$SETS" -mindepth 2 -maxdepth 2 -name used -mtime +14 -printf '%h\0' 2>/dev/null | xargs -0r rm -rf; }

case ${1:-} in
  where) echo "$SET"; exit ;;
  packages) packages; exit ;;
  nodes) nodes; exit ;;
  programs | '') ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac

mkdir -p "$B" "$I"
# Two checkouts of the same sources, or two steps of one, build it once.
exec 9>"$SET/lock"
flock 9
touch "$SET/used"
forget

export CGO_ENABLED=0 GOFLAGS="-buildvcs=false -trimpath -p=2"
P=k8s.io/component-base/version
LD="-s -w -X $P.gitVersion=$V -X $P.gitMajor=1 -X $P.gitMinor=$(cut -d. -f2 <<<"$V") -X $P.gitTreeState=clean -X $P.gitCommit=0000000 -X $P.buildDate=1970-01-01T00:00:00Z"
cd "$HERE/kube"

# program NAME FLAGS...: what is there was made by these sources; a build that was broken off leaves nothing.
program() {
  local name=$1; shift
  [ -x "$B/$name" ] && return
  echo "building $name"
  go build "$@" -o "$B/$name.part" "./cmd/$name" && mv "$B/$name.part" "$B/$name"
}
program nodens -ldflags "-s -w"
program kube -ldflags "$LD"
[ "${1:-}" != programs ] || exit 0

program coredns -ldflags "-s -w"
if [ ! -x "$B/metrics-server" ]; then
  echo "building metrics-server"
  # A module of its own: v0.9.0 needs the libraries of Kubernetes 1.36.
  GOBIN=$SET/part go install -ldflags "-s -w" sigs.k8s.io/metrics-server/cmd/metrics-server@$METRICS
  mv "$SET/part/metrics-server" "$B/metrics-server"
fi
if [ ! -x "$B/pause" ]; then
  PAUSE=$(go list -m -f '{{.Dir}}' k8s.io/kubernetes)/build/pause/linux/pause.c
  gcc -Os -static -s -DVERSION=1 -o "$B/pause.part" "$PAUSE" && mv "$B/pause.part" "$B/pause"
fi

image() { # image NAME FILE ENTRYPOINT ARGS...
  local name=$1 src=$2 entry=$3; shift 3
  [ -e "$I/$name.tar" ] || python3 "$HERE/mkimage.py" --name "registry.local/$name:1" --out "$I/$name.tar" --entrypoint "$entry" "$entry=$src" "$@"
}
image pause "$B/pause" /pause
image coredns "$B/coredns" /coredns
image metrics-server "$B/metrics-server" /metrics-server
image busybox /bin/busybox /bin/busybox $(for a in sh cat ls sleep wget nslookup timeout; do echo --symlink /bin/$a=busybox; done)
