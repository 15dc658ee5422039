#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes BUILD/cordon_VERSION_amd64.deb from what `make install` has put into BUILD/deb/root. `make deb`
# runs it.
#
#   deb.sh BUILD VERSION
#
# Environment: DEB_MAINTAINER ("NAME <ADDRESS>": the distributor, who answers for the source offer),
# SOURCE_DATE_EPOCH (default: the time of the commit).
set -eu
cd "$(dirname "$0")/.."
build=$1
version=$2
root=$build/deb/root
doc=$root/usr/share/doc/cordon
maintainer=${DEB_MAINTAINER:-}
LC_ALL=C
SOURCE_DATE_EPOCH=$(scripts/revision.sh --time)
export LC_ALL SOURCE_DATE_EPOCH
umask 022

say() { echo "deb: $*" >&2; }

die() {
	say "$*"
	exit 1
}

command -v dpkg-shlibdeps >/dev/null || die "dpkg-shlibdeps is missing: install the package dpkg-dev"
if [ -z "$maintainer" ]; then
	maintainer="Cordon maintainers <cordon@localhost>"
	say "no DEB_MAINTAINER: the package names no address for its source offer; set it before you distribute the package"
fi

# "NAME (= VERSION)" of the source package that an installed package was built from.
source_of() {
	dpkg-query -W -f '${source:Package} (= ${source:Version})' "$1" 2>/dev/null ||
		die "the package $1 is not installed: the source of what it gave to the guest is not known"
}

linux=$(source_of linux-source-6.12)
busybox=$(source_of busybox-static)
musl=$(source_of musl-dev)
# A static program has parts of other packages in it.
busybox_built_using=$(dpkg-query -W -f '${Built-Using}' busybox-static)
for package in linux-source-6.12 busybox-static musl-dev libc6-dev; do
	install -D -m 644 "/usr/share/doc/$package/copyright" "$doc/third-party/$package.copyright"
done

strip --remove-section=.comment --remove-section=.note "$root/usr/bin/cordon"
for program in "$root"/usr/lib/cordon/bench/*; do
	case $program in
	*/python) ;;
	*.bin) chmod 644 "$program" ;; # an image without sections, for a monitor
	*) strip --remove-section=.comment --remove-section=.note "$program" ;;
	esac
done
# Where Debian's zsh looks.
mkdir -p "$root/usr/share/zsh/vendor-completions"
mv "$root/usr/share/zsh/site-functions/_cordon" "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
find "$root/usr/share/man" -type f ! -name '*.gz' -exec gzip -9n {} +

install -D -m 644 packaging/copyright "$doc/copyright"
install -D -m 644 packaging/lintian-overrides "$root/usr/share/lintian/overrides/cordon"
install -m 644 README.md SECURITY.md CHANGELOG.md "$doc"
mkdir -p "$doc/docs" "$root/usr/src/cordon"
cp -R docs/*.md docs/decisions docs/examples "$doc/docs/"
tar -c guest-kernel/build.sh guest-kernel/config guest-kernel/config-off guest-kernel/config-check.sh \
	guest-kernel/plain-sites.py guest-kernel/patches | tar -x --no-same-owner -C "$root/usr/src/cordon"
install -m 644 "$(dirname "$(readlink -f "$build/guest/vmlinux")")/config" "$root/usr/src/cordon/guest-kernel.config"
sed -e "s|@LINUX@|$linux|; s|@BUSYBOX@|$busybox|; s|@MUSL@|$musl|; s|@MAINTAINER@|$maintainer|" \
	-e "s|@BUSYBOX_BUILT_USING@|$busybox_built_using|; s|@REVISION@|$(scripts/revision.sh)|" \
	-e "s|@COMPILER@|$(gcc --version | head -n 1)|; s|@LINKER@|$(ld --version | head -n 1)|" \
	packaging/SOURCE.md.in >"$doc/SOURCE.md"
{
	printf 'cordon (%s) unstable; urgency=medium\n\n' "$version"
	printf '  * Revision %s. CHANGELOG.md.gz says what changed for users.\n\n' "$(scripts/revision.sh)"
	printf ' -- %s  %s\n' "$maintainer" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} >"$doc/changelog"
gzip -9n "$doc/changelog" "$doc/CHANGELOG.md"

# dpkg-shlibdeps wants a source package's control file.
mkdir -p "$build/deb/shlibs/debian"
printf 'Source: cordon\n\nPackage: cordon\nArchitecture: amd64\n' >"$build/deb/shlibs/debian/control"
program=$(readlink -f "$root/usr/bin/cordon")
depends=$(cd "$build/deb/shlibs" && dpkg-shlibdeps -O -e "$program" | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || die "dpkg-shlibdeps found no dependencies"

find "$root" -type d -exec chmod 755 {} +
size=$(du -k --apparent-size -s "$root" | cut -f 1)
mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: cordon
Version: $version
Architecture: amd64
Maintainer: $maintainer
Installed-Size: $size
Depends: $depends, libedit2, libhogweed6, libzstd1
Recommends: e2fsprogs, python3
Suggests: gnuplot-nox, strace
Built-Using: $linux, $busybox, $musl, $busybox_built_using
Section: admin
Priority: optional
Description: run untrusted code in a disposable virtual machine
 Cordon runs untrusted code, above all AI agents and what they launch, in a
 Linux virtual machine of its own. A policy says which files and network names
 a sandbox can reach; its decisions are logged.
 .
 It is one program on /dev/kvm. There is no daemon and no image registry. This
 package contains the monitor and the guest's kernel and initramfs. Scratch
 disks of sandboxes need mke2fs (e2fsprogs), the command "cordon bench" python3,
 and gnuplot for its plots.
CONTROL
(cd "$root" && find usr -type f | sort | xargs md5sum) >"$root/DEBIAN/md5sums"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$build/cordon_${version}_amd64.deb" >&2
