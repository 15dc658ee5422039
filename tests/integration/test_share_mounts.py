# SPDX-License-Identifier: Apache-2.0
"""Where the guest mounts the virtio-fs device with all shares, and what the sandbox has of it."""
import os
import shutil

import cordon
from cordon import limit, run, work


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
