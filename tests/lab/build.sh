#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Build the files of the lab's first-level guest (L1) and print their directory: vmlinux (unpacked
# here, because unpacking under emulation is slow), initrd.cpio and `version`.
#
# The sources are Debian's kernel package, which is downloaded and unpacked but never installed, and
# busybox-static. The directory's name is a hash of all input. It is made under another name and
# renamed, so that other processes see a complete directory or none.
#
#   CORDON_LAB_DEB=FILE   use this kernel package instead of downloading one
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/cordon/lab

# What L1 itself needs, and what tests use, mount or open in it.
modules="virtio_pci virtio_console 9pnet_virtio 9p overlay kvm-amd
	tun loop ext4 crc32c_generic vfat nls_cp437 nls_ascii squashfs fuse vhost_vsock vsock_loopback veth"

say() {
	echo "lab: $*" >&2
}

die() {
	say "$*"
	exit 1
}

need() {
	command -v "$1" >/dev/null 2>&1 || die "$1 is missing: install the package $2"
}

need dpkg-deb dpkg
need cpio cpio
need xz xz-utils
need python3 python3
busybox=$(command -v busybox) || die "busybox is missing: install the package busybox-static"

# The package file is named by its version, so that a cached one is found without the network.
find_deb() {
	if [ -n "${CORDON_LAB_DEB:-}" ]; then
		[ -f "$CORDON_LAB_DEB" ] || die "CORDON_LAB_DEB=$CORDON_LAB_DEB: no such file"
		echo "$CORDON_LAB_DEB"
		return
	fi
	need apt-get apt
	package=$(apt-cache depends linux-image-amd64 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
	[ -n "$package" ] ||
		die "apt knows no linux-image-amd64: run apt-get update, or set CORDON_LAB_DEB"
	version=$(apt-cache policy "$package" | sed -n 's/^ *Candidate: //p')
	deb=$cache/debs/${package}_$(echo "$version" | tr : _).deb
	if [ ! -f "$deb" ]; then
		say "downloading $package $version"
		mkdir -p "$cache/debs"
		(cd "$work" && apt-get -qq -o APT::Sandbox::User=root download "$package=$version" >&2) ||
			die "cannot download $package (an older cached package: set CORDON_LAB_DEB)"
		mv "$work"/linux-image-*.deb "$deb.$$"
		mv "$deb.$$" "$deb"
	fi
	echo "$deb"
}

# Copy a module and its dependencies, as listed in the modules.dep that depmod has just written.
copy_module() {
	line=$(tr _ - <"$tree/modules.dep" | grep -n "/$(echo "$1" | tr _ -)\.ko:" | cut -d: -f1)
	if [ -z "$line" ] && tr _ - <"$tree/modules.builtin" | grep -q "/$(echo "$1" | tr _ -)\.ko"; then
		return
	fi
	[ -n "$line" ] || die "the kernel package has no module $1"
	sed -n "${line}p" "$tree/modules.dep" | tr -d : | tr ' ' '\n' | while read -r file; do
		[ -n "$file" ] || continue
		mkdir -p "$dest/$(dirname "$file")"
		cp "$tree/$file" "$dest/$file"
	done
}

mkdir -p "$cache"
work=$(mktemp -d "$cache/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

deb=$(find_deb)
key=$({
	basename "$deb"
	stat -c %s "$deb"
	sha256sum <"$busybox"
	cat "$here/build.sh" "$here/init" "$here/stage2" "$here/unpack-kernel.py"
} | sha256sum | cut -c 1-16)
out=$cache/$key
if [ -f "$out/version" ]; then
	echo "$out"
	exit 0
fi

say "unpacking $(basename "$deb")"
dpkg-deb -x "$deb" "$work/deb"
version=$(basename "$work"/deb/boot/vmlinuz-* | sed 's/^vmlinuz-//')
tree=$work/deb/lib/modules/$version
[ -d "$tree" ] || tree=$work/deb/usr/lib/modules/$version
[ -d "$tree" ] || die "no modules in $(basename "$deb")"
find "$tree" -name '*.ko.xz' -exec xz -d {} +
"$busybox" depmod -b "$work/deb" "$version" 2>/dev/null || die "depmod failed"
[ -s "$tree/modules.dep" ] || die "depmod wrote no modules.dep"

say "making the L1 initramfs ($version)"
root=$work/root
dest=$root/lib/modules/$version
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/mnt" "$dest"
cp "$busybox" "$root/bin/busybox"
cp "$here/init" "$root/init"
cp "$here/stage2" "$root/stage2"
chmod 755 "$root/init" "$root/stage2" "$root/bin/busybox"
for module in $modules; do
	copy_module "$module"
done
cp "$tree/modules.builtin" "$tree/modules.order" "$dest/"
"$busybox" depmod -b "$root" "$version" 2>/dev/null

mkdir "$work/out"
(cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$work/out/initrd.cpio"
python3 "$here/unpack-kernel.py" "$work/deb/boot/vmlinuz-$version" "$work/out/vmlinux"
echo "$version" >"$work/out/version"

# Another build may have finished first; its result is the same.
mv -T "$work/out" "$out" 2>/dev/null || [ -f "$out/version" ]
echo "$out"
