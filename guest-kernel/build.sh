#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the guest kernel from Debian's linux-source-6.12, our patches and our configuration fragment.
#
#   build.sh               build unless the cache has it, and let build/guest/vmlinux point at it
#   build.sh --force       build even if the cache has it
#   build.sh --print-path  only print where the built kernel is (or will be)
#
# Environment: CORDON_KERNEL_CACHE (default $XDG_CACHE_HOME/cordon or ~/.cache/cordon), TMPDIR (for
# the scratch tree, 1 GB; default: in the cache), LINUX_SOURCE (the tarball), CC, JOBS, BUILD.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
tarball=${LINUX_SOURCE:-/usr/src/linux-source-6.12.tar.xz}
cache=${CORDON_KERNEL_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/cordon}/kernel
cc=${CC:-gcc}
jobs=${JOBS:-$(nproc)}
out=$top/${BUILD:-build}/guest
force=no
print=no
scratch=""
steps=1500 # lines that the compiler and linker print in a full build, for the progress line only

for arg in "$@"; do
	case "$arg" in
	--force) force=yes ;;
	--print-path) print=yes ;;
	-h | --help)
		sed -n '3,10s/^# \{0,1\}//p' "$0"
		exit 0
		;;
	*)
		echo "build.sh: unknown argument: $arg (see --help)" >&2
		exit 2
		;;
	esac
done

say() { echo "guest-kernel: $*" >&2; }

die() {
	say "$*"
	exit 1
}

cleanup() {
	status=$?
	trap - EXIT
	[ -z "$scratch" ] || rm -rf "$scratch"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

case "$cc" in
*clang*) cc=gcc ;; # CC=clang is for the monitor; the kernel is always built with gcc
esac
[ -r "$tarball" ] || die "$tarball is missing; \`make deps\` installs it (package linux-source-6.12)"
command -v "${cc%% *}" >/dev/null || die "no compiler $cc; \`make deps\` installs what is needed"

# Package version and size identify the tarball; hashing 150 MB at every make is not worth it.
inputs_hash() {
	{
		dpkg-query -W -f '${Version}\n' linux-source-6.12 2>/dev/null || true
		stat -L -c %s "$tarball"
		# shellcheck disable=SC2086 # "ccache gcc" is a command and its argument
		$cc --version | head -n 1
		ld --version | head -n 1
		LC_ALL=C
		export LC_ALL
		for f in "$here"/config "$here"/build.sh "$here"/plain-sites.py "$here"/patches/*.patch; do
			[ ! -f "$f" ] || { basename "$f" && cat "$f"; }
		done
	} | sha256sum | cut -c 1-16
}
hash=$(inputs_hash)
built=$cache/$hash

# A kernel of these inputs that this tree already has serves from whatever cache it is in: `sudo make
# install` has root's home directory, and must not build once more.
current=$(readlink "$out/vmlinux" 2>/dev/null || true)
case "$force $current" in
"no "*"/kernel/$hash/vmlinux") [ ! -f "$current" ] || built=${current%/vmlinux} ;;
esac

if [ "$print" = yes ]; then
	echo "$built/vmlinux"
	exit 0
fi

# build/guest/vmlinux -> the cache, replaced in one step. The list of options that must be off does not
# change the kernel, so it is not in the hash: a kernel from the cache is checked against it too.
publish() {
	"$here"/config-check.sh "$built/config"
	mkdir -p "$out"
	[ "$(readlink "$out/vmlinux" 2>/dev/null)" != "$built/vmlinux" ] || return 0
	ln -sfn "$built/vmlinux" "$out/.vmlinux.$$"
	mv -fT "$out/.vmlinux.$$" "$out/vmlinux"
}

if [ "$force" = no ] && [ -f "$built/vmlinux" ]; then
	publish
	exit 0
fi

mkdir -p "$cache" || die "can't write to $cache; set CORDON_KERNEL_CACHE"
# Only one process builds the same kernel at a time: a second one waits, and uses the result.
exec 9>"$cache/.$hash.lock"
if ! flock -n 9; then
	say "another build of the same kernel is running; waiting for it"
	flock 9
fi
if [ "$force" = no ] && [ -f "$built/vmlinux" ]; then
	publish
	exit 0
fi

scratch=$(mktemp -d "${TMPDIR:-$cache}/build.XXXXXX")
src=$scratch/linux
log=$scratch/log
mkdir "$src"

say "unpacking $(basename "$tarball")"
# Leave out sources that no option can enable; their Kconfig files must stay.
tar -xf "$tarball" -C "$src" --strip-components=1 \
	--exclude='linux-source-*/Documentation/*/*' --exclude='*/tools/testing/*' --exclude='*/tools/perf/*' \
	--exclude='*/samples/*.c' --exclude='*/sound/*.[ch]' --exclude='*/drivers/gpu/*.[ch]' \
	--exclude='*/drivers/media/*.[ch]' --exclude='*/drivers/net/ethernet/*.[ch]' \
	--exclude='*/drivers/net/wireless/*.[ch]' --exclude='*/drivers/staging/*.[ch]' \
	--exclude='*/drivers/scsi/*.c' --exclude='*/drivers/infiniband/*.[ch]' \
	--exclude='*/arch/a[lr]*/*.[chS]' --exclude='*/arch/[chlmnoprs]*/*.[chS]' \
	--exclude='*/arch/xtensa*/*.[chS]' \
	9>&- || die "can't unpack $tarball"

for p in "$here"/patches/*.patch; do
	[ -f "$p" ] || continue
	patch -d "$src" -p1 -s -N --no-backup-if-mismatch <"$p" >"$log" 2>&1 9>&- || {
		cat "$log" >&2
		die "$(basename "$p") does not apply to this source"
	}
done

KBUILD_BUILD_USER=cordon KBUILD_BUILD_HOST=guest KBUILD_BUILD_VERSION=1
KBUILD_BUILD_TIMESTAMP='1970-01-01 00:00:00 UTC'
export KBUILD_BUILD_USER KBUILD_BUILD_HOST KBUILD_BUILD_VERSION KBUILD_BUILD_TIMESTAMP
unset KBUILD_OUTPUT MAKEFLAGS MFLAGS MAKELEVEL O ARCH CROSS_COMPILE CFLAGS LDFLAGS BUILD V || true
# .config records the versions of rustc and pahole, which this kernel does not use: pretend to have none.
kmake() { make -C "$src" ARCH=x86_64 CC="$cc" RUSTC=false PAHOLE=false "$@" 9>&-; }

KCONFIG_ALLCONFIG="$here/config" kmake allnoconfig >"$log" 2>&1 || {
	tail -n 20 "$log" >&2
	die "configuring failed"
}

# Kconfig silently drops a line whose dependencies are not met: check that every line took effect.
wrong=$(awk -v fragment="$here/config" '
	/^CONFIG_/ { split($0, kv, "="); have[kv[1]] = $0 }
	END {
		while ((getline line < fragment) > 0) {
			if (line ~ /^CONFIG_/) {
				split(line, kv, "=")
				if (have[kv[1]] != line)
					print "  wanted " line ", got " (kv[1] in have ? have[kv[1]] : "nothing")
			} else if (line ~ /^# CONFIG_[A-Z0-9_]+ is not set$/) {
				split(line, w, " ")
				if (w[2] in have)
					print "  wanted " w[2] " off, got " have[w[2]]
			}
		}
	}' "$src/.config")
[ -z "$wrong" ] || {
	echo "$wrong" >&2
	die "some lines of config did not take effect"
}

# Check that what must be off is off: another option may have selected it.
"$here"/config-check.sh "$src/.config" "$src"

# Turns make's output into progress: one line that is rewritten on a terminal, else a line every 10 %.
progress() {
	terminal=no
	[ ! -t 2 ] || terminal=yes
	awk -v total="$steps" -v terminal="$terminal" '
		/^  (CC|AS|AR|LD|HOSTCC|HOSTLD|VDSO|GEN|OBJCOPY) / {
			percent = int(++n * 100 / total)
			if (percent > 99)
				percent = 99
			if (percent == last)
				next
			last = percent
			if (terminal == "yes")
				printf "\rguest-kernel: compiling, %d %%  ", percent > "/dev/stderr"
			else if (percent % 10 == 0)
				printf "guest-kernel: compiling, %d %%\n", percent > "/dev/stderr"
			fflush("/dev/stderr")
		}
		END {
			if (terminal == "yes")
				printf "\r%40s\r", "" > "/dev/stderr"
		}'
}

say "compiling with $jobs jobs: takes some minutes, once"
{
	kmake -j"$jobs" vmlinux 2>&1 || echo failed >"$scratch/failed"
} | tee "$log" | progress
if [ -f "$scratch/failed" ] || [ ! -f "$src/vmlinux" ]; then
	cp "$log" "$cache/failed.log"
	grep -E 'error:|\*\*\* |undefined' "$log" | head -n 20 >&2
	die "the build failed; $cache/failed.log has all of its output"
fi

new=$scratch/new
mkdir "$new"
objcopy --strip-debug "$src/vmlinux" "$new/vmlinux"
python3 "$here/plain-sites.py" "$new/vmlinux" >"$log" 2>&1 || {
	cat "$log" >&2
	die "the branch sites of the built kernel are not as expected"
}
cp "$src/System.map" "$new/System.map"
cp "$src/.config" "$new/config"
chmod -R a+rX "$new"
# Guests map and share a kernel, instead of copying it, only if its file is read-only (docs/boot.md).
chmod 444 "$new"/*
# The scratch tree may be on another file system: copy into the cache first, and rename there.
staged=$(mktemp -d "$cache/new.XXXXXX")
cp -p "$new"/* "$staged/"
chmod 755 "$staged"
if [ -d "$built" ]; then
	mv -fT "$staged/vmlinux" "$built/vmlinux"
	mv -fT "$staged/System.map" "$built/System.map"
	mv -fT "$staged/config" "$built/config"
	rmdir "$staged"
else
	mv -T "$staged" "$built"
fi
publish
say "built $built/vmlinux"
