# SPDX-License-Identifier: Apache-2.0
"""Where the guest mounts the virtio-fs device with all shares, and what the sandbox has of it."""
import os
import shutil

import cordon
from cordon import limit, run, work, write
from sandboxes import execute, sandbox


def directory(name):
    """An empty directory of the host, to share."""
    path = os.path.join(work(name))
    os.makedirs(path, exist_ok=True)
    return path


@limit(300)
def test_share_mounts_show_no_other_share():
    """No mount of the sandbox's namespace, covered ones included, has the directory with all shares: each
    has one share. Sandbox root can unmount a share, and finds an empty directory beneath it."""
    tools = directory("tools")
    shutil.copy(cordon.program("mounts"), tools)
    script = """
        /tools/mounts
        echo --
        while read -r _ _ _ root point _ rest; do
            case $point$rest in /a*|/deep*|/tools*|*cgroup*) echo "$point $root $rest";; esac
        done < /proc/self/mountinfo
        echo --
        umount /a && ls -a /a
        umount -l / 2>/dev/null; ls -d /shares /1 /2 2>/dev/null
        echo --
        ls /tools"""
    result = run("sh", "-c", script,
                 options=["--share", f"{directory('a')}:/a", "--share", f"{directory('b')}:/deep/b:ro",
                          "--share", f"{tools}:/tools:ro"]).expect(0)
    every, listed, beneath, left = result.stdout.decode().split("--\n")
    every = every.splitlines()
    # The control: cgroups are mounted beneath the sandbox's root, and have no path there.
    assert any(line.startswith("cgroup2 ") for line in every) and "cgroup" not in listed, every
    ours = sorted(line for line in every if line.startswith("virtiofs "))
    assert ours == ["virtiofs /0", "virtiofs /1", "virtiofs /2"], every
    shares = {line.split()[0] for line in listed.splitlines() if " virtiofs " in line}
    assert shares == {"/a", "/deep/b", "/tools"}, listed
    assert beneath.split() == [".", ".."] and left == "mounts\n", result


@limit(300)
def test_share_mounts_open_no_devices():
    """A file that the host has marked as a device, or as set-id, is shown as one; it opens no device and gives no
    rights, also where sandbox root has removed nodev and nosuid from the share's mount."""
    top = directory("top")
    for name, mark in (("null", b"0:0:20000:259"), ("disk", b"0:0:60000:65024")):
        write(f"top/{name}", "host\n")
        os.setxattr(os.path.join(top, name), "user.cordon.stat", mark)
    shutil.copy(cordon.program("around"), os.path.join(top, "owned"))
    os.setxattr(os.path.join(top, "owned"), "user.cordon.stat", b"0:0:4000:0")
    look = """
        grep ' /w ' /proc/self/mountinfo | cut -d' ' -f6
        stat -c '%A %u %t:%T' /w/null /w/disk /w/owned
        cat /w/null; echo x > /w/null; cat /w/disk; cat /dev/null && echo x > /dev/null && echo null"""
    with sandbox("box", "--share", f"{top}:/w"):
        for remount in ("true", "mount -o remount,bind,dev,suid /w"):
            result = execute("box", "sh", "-c", remount + look).expect(0)
            flags, *shown, control = result.stdout.decode().splitlines()
            assert ("nodev" in flags, "nosuid" in flags) == (remount == "true",) * 2, result
            assert shown == ["crw-r--r-- 0 1:3", "brw-r--r-- 0 fe:0", "-rwsr-xr-x 0 0:0"] and control == "null", result
            assert result.stderr.count(b"ermission denied") == 3, result
            assert execute("box", "/w/owned", "euid", options=("--user", "nobody")).expect(0).stdout == b"65534\n"
            # The same program as root: the number is the caller's.
            assert execute("box", "/w/owned", "euid").expect(0).stdout == b"0\n"
