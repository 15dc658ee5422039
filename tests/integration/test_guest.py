# SPDX-License-Identifier: Apache-2.0
"""What is in the guest's kernel, and kernels that are not ours."""
import os

import cordon
from cordon import run

FEATURES = ("landlock", "fanotify_exec", "seccomp_notify", "namespaces", "overlay", "file_systems",
            "settings", "cgroups")


@cordon.limit(400)
def test_features():
    """What rules in the guest rest on works: programs/features.c tries each, as the first process."""
    with open(cordon.program("features"), "rb") as program:
        archive = cordon.cpio({"init": (0o755, program.read())})
    result = run("true", options=["--initrd", cordon.scratch("initrd", archive), "--console"])
    assert result.status == cordon.FAILED and b"switched itself off" in result.stderr, repr(result)
    lines = result.stderr.decode().replace("\r", "").splitlines()
    missing = [name for name in FEATURES if f"ok {name}" not in lines]
    assert not missing, f"{missing} of {result!r}"


def test_processors():
    """As many as the host has, up to 8: all are up, and a command's processes run on each."""
    count = min(len(os.sched_getaffinity(0)), 8)
    script = "nproc; for i in $(seq 16); do (i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; echo done) & done; wait"
    result = run("sh", "-c", script, options=["--cpus", str(count)])
    result.expect(0, b"%d\n" % count + b"done\n" * 16, b"")
    run("true", options=["--cpus", "9"]).expect_error("cpus")
