# SPDX-License-Identifier: Apache-2.0
"""The guest's kernel: its features, its options and its processors."""
import os
import subprocess

import cordon
from cordon import run
from initramfs import cpio

FEATURES = ("landlock", "fanotify_exec", "seccomp_notify", "namespaces", "overlay", "file_systems",
            "settings", "cgroups", "debuggers", "closed", "closed_files")


@cordon.limit(400)
def test_features():
    """The kernel features that rules in the guest rest on work; programs/features.c tries each as first process."""
    with open(cordon.program("features"), "rb") as program:
        archive = cpio({"init": (0o755, program.read())})
    result = run("true", options=["--initrd", cordon.scratch("initrd", archive), "--console"])
    assert result.status == cordon.FAILED and b"switched itself off" in result.stderr, repr(result)
    lines = result.stderr.decode().replace("\r", "").splitlines()
    missing = [name for name in FEATURES if f"ok {name}" not in lines]
    assert not missing, f"{missing} of {result!r}"


def test_kernel_options():
    """An option that must be off stops the build of the kernel; the kernel in use has none."""
    kernel = os.path.dirname(os.path.realpath(os.path.join(cordon.BUILD, "guest", "vmlinux")))
    check = os.path.join(cordon.TOP, "guest-kernel", "config-check.sh")

    def checked(config, **environment):
        done = subprocess.run([check, config], capture_output=True, text=True, check=False,
                              env={**os.environ, **environment})
        return done.returncode, done.stdout + done.stderr

    assert checked(os.path.join(kernel, "config")) == (0, "")
    with open(os.path.join(kernel, "config"), encoding="ascii") as config:
        text = config.read()
    assert "CONFIG_BPF_SYSCALL" in text, "the list's form of names is not the configuration's"
    bad = cordon.scratch("config", (text + "CONFIG_BPF_SYSCALL=y\n").encode())
    status, message = checked(bad)
    assert status == 1 and message.count("\n") == 1 and "CONFIG_BPF_SYSCALL (bpf()" in message, message
    status, message = checked(bad, CONFIG_OFF=cordon.scratch("off", b"CONFIG_BPF_SYSCALL\n"))
    assert status == 1 and "off:1: want CONFIG_OPTION and a reason" in message, message


def test_processors():
    """As many processors as the host has, up to 8: all are up, and a command's processes run on them."""
    count = min(len(os.sched_getaffinity(0)), 8)
    script = "nproc; for i in $(seq 16); do (i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; echo done) & done; wait"
    result = run("sh", "-c", script, options=["--cpus", str(count)])
    result.expect(0, b"%d\n" % count + b"done\n" * 16, b"")
    run("true", options=["--cpus", "9"]).expect_error("cpus")
