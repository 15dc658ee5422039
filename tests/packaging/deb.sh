#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the Debian package: lintian; then, in a new minimal Debian 12: install it with apt, run `cordon doctor` and a
# sandbox, remove it, and compare the files before and after.
#
#   deb.sh FILE.deb
#
# Needs root, /dev/kvm, a Debian mirror (DEBIAN_MIRROR, default: debootstrap's), and 600 MB in TMPDIR.
# Prints what the commands print, then one line "N passed, N failed, N skipped".
set -u
deb=$(readlink -f "$1")
mirror=${DEBIAN_MIRROR:-}
passed=0 failed=0

for tool in debootstrap lintian; do
	command -v "$tool" >/dev/null || missing=$tool
done
[ "$(id -u)" -eq 0 ] || missing=root
[ -c /dev/kvm ] || missing=/dev/kvm
if [ -n "${missing:-}" ]; then
	echo "skip packaging.deb: $missing is missing"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

verdict() { # STATUS NAME
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok packaging.deb.$2"
	else
		failed=$((failed + 1))
		echo "not ok packaging.deb.$2"
	fi
}

work=$(mktemp -d)
root=$work/root
# Mounts are made in their own namespace (below), so none of them is left here.
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM HUP

lintian --fail-on error,warning --tag-display-limit 0 "$deb" 2>&1
verdict $? lintian

debootstrap --variant=minbase bookworm "$root" ${mirror:+"$mirror"} >"$work/log" 2>&1 || {
	tail -5 "$work/log"
	echo "skip packaging.deb: debootstrap cannot reach ${mirror:-its mirror}"
	echo "$passed passed, $failed failed, 1 skipped"
	exit "$failed"
}
cp "$deb" "$root/cordon.deb"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"

# The new root is entered by pivot_root: in a chroot the kernel allows no user namespaces.
inside() {
	# shellcheck disable=SC2016 # the variables are for the shell inside
	unshare --mount --pid --fork sh -c '
		mount --bind "$1" "$1" && cd "$1" &&
		mount -t proc proc proc && mount --rbind /sys sys && mount -t tmpfs tmpfs dev &&
		mkdir dev/pts dev/shm dev/net && for node in null zero full random urandom tty kvm net/tun; do
			[ ! -e "/dev/$node" ] || { : >"dev/$node" && mount --bind "/dev/$node" "dev/$node"; }
		done &&
		ln -s /proc/self/fd dev/fd && mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts &&
		ln -s pts/ptmx dev/ptmx && mount -t tmpfs tmpfs tmp && mount -t tmpfs tmpfs run &&
		mkdir -p mnt && pivot_root . mnt && cd / && umount -l mnt && shift &&
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp XDG_RUNTIME_DIR=/run LC_ALL=C.UTF-8 \
			DEBIAN_FRONTEND=noninteractive "$@"' sh "$root" "$@"
}

# All files but those of apt and dpkg themselves.
list() {
	(cd "$root" && find . -xdev \( -path ./var/lib/apt -o -path ./var/lib/dpkg -o -path ./var/cache -o -path ./var/log \
		\) -prune -o -print) | sort
}

inside apt-get update -qq
verdict $? update
list >"$work/before"
inside sh -c 'apt-get install -y -qq ./cordon.deb' >"$work/log" 2>&1
status=$?
[ "$status" -eq 0 ] || tail -20 "$work/log"
verdict "$status" install
inside cordon version
verdict $? version
inside sh -c 'cordon doctor >/tmp/doctor; status=$?; cat /tmp/doctor; [ $status -eq 0 ] && ! grep -q ^FAIL /tmp/doctor'
verdict $? doctor
inside cordon run -- true
verdict $? run
[ "$(inside cordon run -- uname -s)" = Linux ]
verdict $? output
# The negative twin: an exit status that is the command's own.
inside cordon run -- false
[ $? -eq 1 ]
verdict $? status
inside sh -c 'cordon bench --quick --out /tmp/bench start.null && grep -q "null guest" /tmp/bench/report.html'
verdict $? bench
inside cordon policy presets >/dev/null && [ -f "$root/usr/share/doc/cordon/SOURCE.md" ] &&
	[ -f "$root/usr/share/doc/cordon/copyright" ] && ! grep -q '@[A-Z_]*@' "$root/usr/share/doc/cordon/SOURCE.md"
verdict $? documents
inside sh -c 'apt-get purge -y -qq --autoremove cordon' >"$work/log" 2>&1
status=$?
[ "$status" -eq 0 ] || tail -20 "$work/log"
verdict "$status" purge
list >"$work/after"
diff "$work/before" "$work/after" | grep '^[<>]' >"$work/left"
cat "$work/left"
[ ! -s "$work/left" ]
verdict $? nothing-left

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
