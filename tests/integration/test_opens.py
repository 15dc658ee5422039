# SPDX-License-Identifier: Apache-2.0
"""What a monitor reaches by name while its guest runs: files of its own directory, and nothing else of the host."""
import contextlib
import os
import re
import signal
import subprocess

import cordon
from cordon import call, limit, wait_until, work, write
from sandboxes import execute, ps, sandbox

# A name without a slash, in a directory that is open; or no name: what is open itself.
OWN = r"\d+, \"(?!\.\.\")[^/\"]*\""
CALL = re.compile(r"(\d+) +(\w+)\((.*)")
# Pipes and terminals of clients' commands, opened again for flags of their own.
STREAM = r"openat\(AT_FDCWD, \"/proc/self/fd/\d+\", O_(RDONLY|WRONLY)\|O_NOCTTY\|O_NONBLOCK\|O_CLOEXEC\)"
PERMITTED = re.compile(rf"(openat|newfstatat|unlinkat)\({OWN}|renameat2?\({OWN}, {OWN}|fstat\(|{STREAM}")


def threads(pid):
    return set(os.listdir(f"/proc/{pid}/task"))


@contextlib.contextmanager
def traced(pid, found):
    """Appends calls of the monitor's threads that name a file."""
    cordon.need_program("strace")
    own = threads(pid)
    with subprocess.Popen(["strace", "-f", "-e", "trace=%file", "-o", work("trace"), "-p", str(pid)],
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as tracer:
        line = tracer.stderr.readline()
        if b"attached" not in line:
            tracer.wait()
            raise cordon.Skip(f"strace can't trace here: {line.decode()}")
        try:
            yield
        finally:
            own |= threads(pid)
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
    with open(work("trace"), encoding="utf-8", errors="replace") as trace:
        for line in trace:
            match = CALL.match(line)
            if match and match.group(1) in own:
                found.append(f"{match.group(2)}({match.group(3)}")


@limit(900)
def test_a_monitor_opens_its_own_files_only():
    found = []
    top = os.path.dirname(write("top/file", "text\n"))
    job = ["exec", "-d", "box", "--", "echo", "x"]
    with sandbox("box", "--share", f"{top}:/top") as pid:
        with traced(pid, found):
            execute("box", "cat", "/top/file").expect(0, b"text\n")
            number = call(*job).expect(0).stdout.decode().strip()
            wait_until(lambda: ps()["box"]["jobs"] == [], "the command's end")
            call("logs", "box", number).expect(0, b"x\n")
            call("logs", "box").expect(0)
            call("stats", "--once", "box").expect(0)
            call("pause", "box").expect(0)
            call("resume", "box").expect(0)
            call("limit", "box").expect(0)
            call("snapshot", "box", work("snap")).expect(0)
            call("fork", "box", "1").expect(0, b"box-1\n")
            call("kill", "box-1").expect(0)
            call("share", "box", f"{work('top')}:/more").expect(0)
            call("unshare", "box", "/more").expect(0)
            call("policy", "add", "box", "file read /top/x").expect(0)
            call("ps").expect(0)
            call("why", "box")
            call("top", "--once", "box").expect(0)
        execute("box", "cat", "/top/file").expect(0, b"text\n")
    assert any("job-" in line for line in found), found
    strange = [line for line in found if not PERMITTED.match(line)]
    assert not strange, strange
