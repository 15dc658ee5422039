#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds copies of this tree twice, in different directories, environments and orders, and compares what is
# installed. Prints one line per file, and exits 1 if any differs.
#
#   reproducible.sh             the program, the initramfs, the presets, the manual; the Debian package, if dpkg-dev
#                               is there
#   reproducible.sh --kernel    also the guest kernel: the second build does not use the cache
#
# Needs what `make` needs, 300 MB in TMPDIR (--kernel: 1.4 GB), and some minutes. ccache is off: a cached object
# would be equal by definition.
set -eu
cd "$(dirname "$0")/../.."

kernel=no
case "${1:-}" in
"") ;;
--kernel) kernel=yes ;;
*)
	echo "usage: reproducible.sh [--kernel]" >&2
	exit 2
	;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# The copies are no checkouts, so the environment tells both builds which revision this is.
CORDON_REVISION=$(scripts/revision.sh)
SOURCE_DATE_EPOCH=$(scripts/revision.sh --time)
CCACHE_DISABLE=1
export CORDON_REVISION SOURCE_DATE_EPOCH CCACHE_DISABLE
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES BUILD V WERROR

copy() {
	mkdir -p "$1"
	tar -c --exclude=./build --exclude=./.git . | tar -x -C "$1"
}

# The second build has another home directory.
CORDON_KERNEL_CACHE=$(guest-kernel/build.sh --print-path)
CORDON_KERNEL_CACHE=${CORDON_KERNEL_CACHE%/kernel/*}
export CORDON_KERNEL_CACHE

copy "$work/a"
mkdir -p "$work/second"
copy "$work/second/with-a-longer-name"
ln -s "$work/second/with-a-longer-name" "$work/b"

echo "reproducible: first build"
(cd "$work/a" && umask 022 && TZ=UTC LC_ALL=C make -s -j"$(nproc)" all)
echo "reproducible: second build"
[ "$kernel" = no ] || CORDON_KERNEL_CACHE=$work/kernel-cache
(cd "$work/b" && umask 077 && TZ=Pacific/Auckland LC_ALL=C.UTF-8 HOME="$work/home" make -s -j1 all)

status=0
compare() { # NAME FILE FILE
	if cmp -s "$2" "$3"; then
		echo "same    $(sha256sum <"$2" | cut -c 1-64)  $1"
	else
		echo "DIFFERS $1"
		status=1
	fi
}
files='cordon guest/agent guest/initramfs'
[ "$kernel" = no ] || files="$files guest/vmlinux"
if command -v dpkg-shlibdeps >/dev/null; then
	make -s -C "$work/a" deb DEPS=no
	(umask 077 && TZ=Pacific/Auckland make -s -C "$work/b" deb DEPS=no)
	files="$files $(cd "$work/a/build" && ls -- *.deb)"
fi
for file in $files $(cd "$work/a/build" && ls gen/policies/* man/*); do
	compare "$file" "$work/a/build/$file" "$work/b/build/$file"
done
exit "$status"
