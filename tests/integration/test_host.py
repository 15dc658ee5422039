# SPDX-License-Identifier: Apache-2.0
"""Hosts that cannot run a sandbox, and users without privileges."""
import os

import cordon
from cordon import as_nobody, in_namespace, run

# A /dev with the usual files, but without kvm.
NO_KVM = """
d=$(mktemp -d -p "$CORDON_TEST_BASE/work")
mount -t tmpfs dev "$d"
for f in null zero full random urandom tty; do
    touch "$d/$f" && mount --bind "/dev/$f" "$d/$f"
done
mkdir "$d/shm" "$d/pts"
mount --move "$d" /dev
rmdir "$d"
"""
# A /dev/kvm that is another device.
NO_DRIVER = "mount --bind /dev/null /dev/kvm"


def test_no_dev_kvm():
    run("true", wrap=in_namespace(NO_KVM)).expect_error("/dev/kvm")


def test_dev_kvm_is_something_else():
    run("true", wrap=in_namespace(NO_DRIVER)).expect_error("/dev/kvm")


def readable_copy():
    """Copy the program, kernel and initramfs so that every user can read them; return the paths."""
    paths = []
    for source in (cordon.PROGRAM, cordon.VMLINUX, cordon.INITRAMFS):
        with open(source, "rb") as data:
            paths.append(cordon.scratch(os.path.basename(source), data.read(), 0o755))
    return paths


def test_no_permission():
    wrap = as_nobody()
    if os.stat("/dev/kvm").st_mode & 0o006 == 0o006:
        raise cordon.Skip("needs a /dev/kvm that not everybody may open")
    program, kernel, initrd = readable_copy()
    home = os.path.join(os.path.dirname(program), "home")
    os.mkdir(home)
    os.chmod(home, 0o777)
    env = {"XDG_RUNTIME_DIR": None, "XDG_STATE_HOME": None, "HOME": home}
    options = ["--kernel", kernel, "--initrd", initrd]
    result = run("true", options=options, program=program, wrap=wrap, env=env)
    result.expect_error("/dev/kvm", "ermission")


def test_unprivileged_user_with_kvm():
    """Access to /dev/kvm is the only privilege that a user needs."""
    wrap = in_namespace("""
        node=$CORDON_TEST_BASE/work/kvm
        mknod "$node" c 10 "$(stat -c %T /dev/kvm | sed 's/^/0x/')" && chmod 666 "$node"
        mount --bind "$node" /dev/kvm && rm "$node"
    """) + as_nobody()
    program, kernel, initrd = readable_copy()
    home = os.path.join(os.path.dirname(program), "home")
    os.mkdir(home)
    os.chmod(home, 0o777)
    run("echo", "hello", options=["--kernel", kernel, "--initrd", initrd], program=program, wrap=wrap,
        env={"XDG_RUNTIME_DIR": None, "XDG_CACHE_HOME": None, "XDG_STATE_HOME": None, "HOME": home}).expect(0, b"hello\n", b"")
