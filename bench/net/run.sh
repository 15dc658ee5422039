#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The cost of the network filter: alone (filter.c), and in front of passt (wire.c), in a network
# namespace of its own. BUILD is the build directory; arguments go to wire.c.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
make -s BUILD="$build" "$build/bench/net-filter" "$build/bench/net-wire" >/dev/null
printf 'load %s\n' "$(cut -d' ' -f1 /proc/loadavg)"
"$build/bench/net-filter"
for program in passt ip unshare; do
	if ! command -v "$program" >/dev/null; then
		echo "through passt: not measured: $program is not installed"
		exit 0
	fi
done
if [ "$(id -u)" -ne 0 ]; then
	echo "through passt: not measured: a network namespace requires host root"
	exit 0
fi
# The other end of the link moves to the servers' namespace.
# shellcheck disable=SC2016
exec unshare -n sh -ec '
	echo reno >/proc/sys/net/ipv4/tcp_congestion_control # the only one that all hosts have
	ip link set lo up
	ip link add out0 type veth peer name out1
	ip addr add 203.0.113.2/24 dev out0
	ip link set out0 up
	ip route add default via 203.0.113.1
	exec "$@"' sh "$build/bench/net-wire" "$@"
