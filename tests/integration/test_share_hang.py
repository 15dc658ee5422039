# SPDX-License-Identifier: Apache-2.0
"""A share on a file system of the host that stops replying: it holds up its own requests, and nothing else."""
import contextlib
import ctypes
import errno
import os
import shutil
import struct
import subprocess
import threading

import cordon
from cordon import call, limit, wait_until, work, write
from sandboxes import execute, executing, ps, sandbox
from test_share_files import top

ROOT, QUICK, HANGS = 1, 2, 3
NAMES = {b"quick": QUICK, b"hangs": HANGS}
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, INIT, OPENDIR, READDIR, RELEASEDIR, BATCH_FORGET = (
    1, 2, 3, 14, 15, 17, 18, 26, 27, 28, 29, 42)


def attributes(node):
    mode = 0o40755 if node == ROOT else 0o100644
    return struct.pack("<6Q10I", node, 0 if node == ROOT else 5, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class Host:
    """A FUSE file system of this process, with two files; reads of one have no reply until release()."""

    def __init__(self, place):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        self.held, self.hangs, self.place = [], True, place
        # A namespace of this test's process and of what it starts, from now on.
        libc.unshare(0x20000)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        options = f"fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if libc.mount(b"hangs", place.encode(), b"fuse", 6, options) < 0:
            raise OSError(ctypes.get_errno(), place)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while request := os.read(self.fd, 1 << 18):
                _length, opcode, unique, node = struct.unpack_from("<2I2Q", request)
                if opcode == READ and node == HANGS and self.hangs:
                    self.held.append(unique)
                elif opcode not in (FORGET, BATCH_FORGET):
                    self.reply(unique, *self.answer(opcode, node, request[40:]))

    def reply(self, unique, error, data=b""):
        # A request that was interrupted meanwhile takes no reply.
        with contextlib.suppress(OSError):
            os.write(self.fd, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)

    @staticmethod
    def answer(opcode, node, body):
        if opcode == INIT:
            return 0, struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 16, 12, 1 << 17, 1, 0, 0, *[0] * 8)
        if opcode == GETATTR:
            return 0, struct.pack("<Q2I", 0, 0, 0) + attributes(node)
        if opcode == LOOKUP:
            found = NAMES.get(body.rstrip(b"\0"))
            return (0, struct.pack("<4Q2I", found, 0, 0, 0, 0, 0) + attributes(found)) if found else (errno.ENOENT,)
        if opcode in (OPEN, OPENDIR):
            return 0, struct.pack("<Q2I", node, opcode == OPEN, 0)     # FOPEN_DIRECT_IO: each read is a request
        if opcode == READ:
            return 0, b"text\n" if not struct.unpack_from("<2Q", body)[1] else b""
        if opcode == STATFS:
            return 0, struct.pack("<5Q4I24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0)
        return (0,) if opcode in (READDIR, RELEASE, RELEASEDIR) else (errno.ENOSYS,)

    def release(self):
        self.hangs = False
        while self.held:
            self.reply(self.held.pop(), 0, b"text\n")

    def end(self):
        """All requests that are under way fail."""
        self.release()
        subprocess.run(["umount", "-l", self.place], check=True)
        os.close(self.fd)


@contextlib.contextmanager
def host():
    cordon.need_root()
    if not os.access("/dev/fuse", os.W_OK):
        raise cordon.Skip("needs /dev/fuse")
    place = Host(top("hang"))
    try:
        yield place
    finally:
        place.end()


def reading(there, name="box"):
    """A command that reads what has no reply, with its request under way."""
    before, process = len(there.held), executing(name, "cat", "/hang/hangs")
    wait_until(lambda: len(there.held) > before, "the host's file system to be asked")
    return process


@limit(600)
def test_share_hang():
    """While a host file system hangs, the guest, its other shares, and the monitor's clients go on."""
    policy = (f"policy 1\nshare {work('hang')} /hang\nshare {top()} /work\n"
              "file {} /work/a\nfile write /work/** /hang/**\n")
    write("top/a", "a\n")
    with host() as there, sandbox("box", "--policy", write("policy", policy.format("write"))):
        execute("box", "cat", "/hang/quick").expect(0, b"text\n", b"")
        process = reading(there)
        for number in range(3):
            execute("box", "sh", "-c", f"echo {number} >/work/f; cat /work/f /work/a").expect(
                0, b"%d\na\n" % number, b"")
        call("policy", "set", "box", write("policy", policy.format("deny"))).expect(0)
        assert b"denied" in execute("box", "cat", "/work/a").stderr
        call("pause", "box").expect(0)
        assert ps()["box"]["state"] == "paused"
        call("resume", "box").expect(0)
        # A copy would do the request a second time: it is refused, and the guest goes on.
        call("snapshot", "box", work("snap")).expect_error("")
        assert not os.path.exists(work("snap")) and process.poll() is None
        execute("box", "cat", "/work/f").expect(0, b"2\n", b"")
        there.release()
        assert process.wait().expect(0).stdout == b"text\n"
        call("snapshot", "box", work("snap")).expect(0)
        execute("box", "cat", "/hang/hangs").expect(0, b"text\n", b"")


@limit(900)
def test_share_hang_many():
    """200 requests wait for a host file system that hangs, more than one share gets slots; another share goes on."""
    shutil.copy(cordon.program("readers"), top("programs"))
    with host() as there, sandbox("box", "--share", f"{work('hang')}:/hang:cache=none", "--share", f"{top()}:/work",
                                  "--share", f"{work('programs')}:/programs:ro"):
        process = executing("box", "sh", "-c", "/programs/readers 200 /hang/hangs >/work/got")
        got = work("top/got")
        wait_until(lambda: there.held and os.path.exists(got) and os.path.getsize(got) == 6, "the readers", 600)
        # One thread of the server is in the host's file system; all others wait behind it.
        for number in range(3):
            execute("box", "sh", "-c", f"cd /work; echo {number} >f; cat f; mkdir d; mv f d/m; rm -r d").expect(
                0, b"%d\n" % number, b"")
        assert process.poll() is None and len(there.held) == 1
        there.release()
        process.wait().expect(0, b"", b"")
        with open(got, "rb") as file:
            assert file.read() == b"begun\n200\n"


@limit(600)
def test_share_hang_at_the_end():
    """A sandbox ends, by request or with its command, while a host file system hangs."""
    with host() as there:
        with sandbox("box", "--share", f"{work('hang')}:/hang") as pid:
            process = reading(there)
            call("kill", "box").expect(0)
            process.wait()
            wait_until(lambda: not cordon.alive(pid), "the monitor's end")
        with sandbox("box", "--share", f"{work('hang')}:/hang") as pid:
            reading(there)
            call("stop", "box").expect(0)
            wait_until(lambda: not cordon.alive(pid), "the monitor's end")
        cordon.run("sh", "-c", "cat /hang/hangs >/dev/null 2>&1 & sleep 1; echo done",
                   options=["--share", f"{work('hang')}:/hang"]).expect(0, b"done\n")
