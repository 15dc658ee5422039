#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that Cordon is built and tested with, those of them that are missing.
# Says first what it installs. Runs apt-get as root, or through sudo.
set -eu

build="gcc make pkg-config libc6-dev libfdt-dev zlib1g-dev libzstd-dev libjansson-dev libedit-dev nettle-dev libseccomp-dev musl-tools
linux-source-6.12 xz-utils patch flex bison bc libelf-dev libssl-dev busybox-static e2fsprogs python3"
test="check passt iproute2 clang clang-14 clang-format clang-tidy cppcheck libclang-rt-14-dev util-linux strace squashfs-tools erofs-utils zstd
curl git nmap openssl rsync openssh-client dropbear-bin netcat-openbsd python3-pip-whl groff-base python3-pytest python3-pytest-timeout python3-pytest-xdist
codespell shellcheck pyflakes3 gcovr tmux gnuplot-nox procps
sqlite3 bubblewrap"
lab="qemu-system-x86 cpio iperf3"
deb="dpkg-dev lintian debootstrap"

case "${1:-all}" in
build) wanted="$build" ;;
all) wanted="$build $test $lab" ;;
deb) wanted="$build $deb" ;;
*)
	echo "usage: deps.sh [build|all|deb]" >&2
	exit 2
	;;
esac

missing=""
for package in $wanted; do
	state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
	case "$state" in
	ii*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "deps: these packages are missing, and installing them takes root or sudo:$missing" >&2
		exit 1
	fi
	as_root="sudo"
fi
echo "deps: installing$missing" >&2
if ! $as_root apt-get update -qq; then
	echo "deps: the package lists could not be renewed; going on with the old ones" >&2
fi
# apt's own message names only the first, and not where it could be found.
unknown=""
for package in $missing; do
	apt-cache show "$package" >/dev/null 2>&1 || unknown="$unknown $package"
done
if [ -n "$unknown" ]; then
	echo "deps: not in the package sources of this machine:$unknown" >&2
	echo "deps: they are in Debian 12 (bookworm), linux-source-6.12 in its security updates (bookworm-security)" >&2
	exit 1
fi
# shellcheck disable=SC2086 # a list
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >&2
