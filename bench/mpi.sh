#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: bench/mpi.sh BUILD_DIR [N]
# The kernel of N random samples (default 6000) into a store: by threads, then by as many ranks of one thread, and by 4, which
# two processors share; then, as root, by two ranks in network namespaces of their own, which talk over TCP. Prints the
# median of three runs, and the efficiency against threads. What cannot be run is said.
set -eu
ntk=$(cd "${1:?usage: bench/mpi.sh BUILD_DIR [N]}" && pwd)/ntk
n=${2:-6000}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -c "
import random, struct
random.seed(1)
header = str({'descr': '<f4', 'fortran_order': False, 'shape': ($n, 784)})
header += ' ' * (63 - (10 + len(header)) % 64) + '\n'
with open('x.npy', 'wb') as f:
    f.write(b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header.encode())
    for _ in range($n):
        f.write(struct.pack('<784f', *(random.gauss(0, 1) for _ in range(784))))
"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
set -- kernel --net 'fc(depth=5)' --x1 x.npy --dtype float32 --out K.h5 --json --quiet

# seconds COMMAND ...: the median of three new stores
seconds() {
    for _ in 1 2 3; do
        rm -f K.h5
        "$@" | sed 's/.*"seconds": \([0-9.e-]*\).*/\1/'
    done | sort -g | sed -n 2p
}
# line WHAT SECONDS BASE
line() { awk -v what="$1" -v s="$2" -v base="$3" 'BEGIN {printf "%-40s %8.2f s  %5.1f %%\n", what, s, 100 * base / s}'; }
mpi() { mpirun --oversubscribe --bind-to none -n "$@"; }

one=$(seconds "$ntk" "$@" --threads 1)
two=$(seconds "$ntk" "$@" --threads 2)
line "1 thread" "$one" "$one"
line "1 rank of 1 thread" "$(seconds mpi 1 "$ntk" "$@" --threads 1)" "$one"
line "2 threads" "$two" "$two"
line "2 ranks of 1 thread" "$(seconds mpi 2 "$ntk" "$@" --threads 1)" "$two"
line "4 ranks of 1 thread, oversubscribed" "$(seconds mpi 4 "$ntk" "$@" --threads 1)" "$two"

# ---- two network namespaces, joined by a pair of devices
if ! ip netns add ntk-bench 2>/dev/null; then
    echo "network namespaces: skipped, 'ip netns add' is not there or not allowed"
    exit 0
fi
trap 'ip netns del ntk-bench; rm -rf "$dir"' EXIT
ip link add ntk-b0 type veth peer name ntk-b1
ip link set ntk-b1 netns ntk-bench
ip addr add 10.213.7.1/24 dev ntk-b0
ip link set ntk-b0 up
ip netns exec ntk-bench ip addr add 10.213.7.2/24 dev ntk-b1
ip netns exec ntk-bench ip link set ntk-b1 up
ip netns exec ntk-bench ip link set lo up
# mpirun's own connections, too, lead through the devices.
export PMIX_MCA_ptl_tcp_if_include=10.213.7.0/24 PMIX_MCA_ptl_tcp_remote_connections=1
tcp() {
    mpirun --oversubscribe --bind-to none --mca btl tcp,self --mca btl_tcp_if_include 10.213.7.0/24 \
        -n 1 "$@" : -n 1 ip netns exec ntk-bench "$@"
}
apart=$(seconds tcp "$ntk" "$@" --threads 1 2>err || true)
if [ -n "$apart" ]; then
    line "2 ranks in two network namespaces" "$apart" "$two"
else
    echo "network namespaces: skipped, the ranks do not find each other there: $(grep -v '^-*$' err | head -n 1)"
fi
