# SPDX-License-Identifier: Apache-2.0
"""What a guest gains by a device that makes any system call for it (broken.h): nothing.

Each attack of guest.h runs in the thread of a vCPU, which handles registers of devices: it gets an error, or ends the monitor
with a line that names the call; and it has changed nothing. The event loop, which handles queues, has no list of system calls yet:
when it has, IN_LOOP is (False, True). Its twin runs in the same monitor without confinement
(CORDON_NO_JAIL, which only this build knows), and must succeed, or the attack would prove nothing.
"""
import os
import re
import socket
import subprocess
import sys
import tempfile

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))

BUILD = os.path.join(TOP, "build", "attack")
PROGRAM = os.path.join(BUILD, "cordon")
GUEST = os.path.join(BUILD, "attack.elf")
INITRAMFS = os.path.join(TOP, "build", "guest", "initramfs")
NAMES = re.findall(r"\bX\((\w+)\)", open(os.path.join(TOP, "tests", "attack", "guest.h"), encoding="utf-8").read())
VIOLATION = re.compile(rb"cordon: the (vCPU|event loop's?|event loop) thread made the system call (\w+), which its list does not permit: ended")
RESULT = re.compile(rb"attack (\w+): (-?\d+)")

IN_LOOP = (False,)

# What a host may refuse the monitor's user, confined or not: the kernel lacks it, or only the host's root may.
HOST_MAY_REFUSE = {"watch_system", "open_tun", "type_into_terminal", "rings", "load_bpf", "count_events", "fault_memory", "add_key", "find_key",
                   "read_log", "change_ldt", "ports", "host_name", "set_clock", "socket_raw", "socket_packet", "user_namespace",
                   "mount_namespace", "join_namespace", "mount_files", "mount_new", "copy_tree", "change_root", "change_owner",
                   "compare_processes", "lock_memory", "make_handle", "set_attribute", "unnamed", "another_vcpu", "be_traced"}


class Target:
    """What attacks are about: a file, a name that is free, a process, and sockets."""

    def __init__(self, name, base):
        self.secret = os.path.join(base, "secret")
        self.free = os.path.join(base, "free")
        with open(self.secret, "w", encoding="utf-8") as secret:
            secret.write(f"#!/bin/sh\n: >{self.free}\n" if name.startswith("execute") else "secret\n")
        os.chmod(self.secret, 0o700 if name.startswith("execute") else 0o600)
        self.before = self.state()
        self.process = subprocess.Popen(["sleep", "600"])
        self.listener = None
        path, other, number = self.secret, self.free, self.process.pid
        if name == "connect_tcp":
            self.listener = socket.create_server(("127.0.0.1", 0))
            number = self.listener.getsockname()[1]
        elif name in ("connect_unix", "connect_abstract"):
            path = os.path.join(base, "socket") if name == "connect_unix" else f"cordon-attack-{os.getpid()}"
            number = 1
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path if name == "connect_unix" else "\0" + path)
            self.listener.listen()
        elif name in ("change_directory", "unnamed"):
            path = other = base
        elif name == "mount_files":
            path = os.path.join(base, "mount")
            os.mkdir(path)
        self.words = f"attack={name} path={path} other={other} number={number}"

    def state(self):
        status = os.stat(self.secret) if os.path.lexists(self.secret) else None
        return (status and (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_nlink, status.st_uid),
                os.path.lexists(self.free))

    def is_untouched(self):
        return self.state() == self.before and self.process.poll() is None

    def close(self):
        self.process.kill()
        self.process.wait()
        if self.listener:
            self.listener.close()
        subprocess.run(["umount", os.path.join(os.path.dirname(self.secret), "mount")], stderr=subprocess.DEVNULL, check=False)


def attack(name, in_loop, confined):
    """Returns (result or None, name of the call that ended the monitor or None, whether the targets are untouched, output)."""
    with tempfile.TemporaryDirectory(prefix="cordon-attack.") as base:
        target = Target(name, base)
        try:
            words = target.words + (" attack-in-loop" if in_loop else "")
            env = dict(os.environ, **({} if confined else {"CORDON_NO_JAIL": "1"}))
            done = subprocess.run([PROGRAM, "run", "--cold", "--console", "--memory", "64M", "--kernel", GUEST, "--initrd", INITRAMFS, "--cmdline-append", words,
                                   "--timeout", "30s", "--", "true"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False, timeout=60)
            found, ended = RESULT.search(done.stdout), VIOLATION.search(done.stdout)
            return (int(found.group(2)) if found else None, ended and ended.group(2).decode(), target.is_untouched(), done.stdout)
        finally:
            target.close()


@pytest.mark.parametrize("name", NAMES)
def test_gains_nothing(name):
    for in_loop in IN_LOOP:
        result, ended, untouched, output = attack(name, in_loop, True)
        assert ended or (result is not None and result < 0), output
        assert untouched, output
    result, ended, untouched, output = attack(name, False, False)
    if name.startswith("execute"):
        assert not untouched, output
    elif result is None or result < 0:
        assert name in HOST_MAY_REFUSE, output
        pytest.skip(f"the host refuses it also to a monitor that is not confined: {result}")


def test_there_are_enough():
    assert len(NAMES) == len(set(NAMES)) >= 60
