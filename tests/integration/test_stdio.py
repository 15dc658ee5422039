# SPDX-License-Identifier: Apache-2.0
"""cordon run: input and output, in bulk and with their ends closed."""
import hashlib
import os
import signal
import subprocess
import time

import cordon
from cordon import MIB, pattern, run, start

# A host that emulates ring 0 moves about a megabyte a second.
BULK = 8 if not cordon.HARDWARE else 32 if cordon.IN_LAB else 1024
PRIVATE_KIB = 24 * 1024                     # what a monitor may use itself, in any test here


def test_stdin_to_stdout():
    data = bytes(range(256)) * 300
    run("cat", stdin=data).expect(0, data, b"")


def test_stdin_end():
    run("wc", "-c", stdin=b"12345").expect(0, b"5\n", b"")
    run("cat", stdin=subprocess.DEVNULL).expect(0, b"", b"")


@cordon.limit(600)
def test_bulk():
    """A bulk transfer loses nothing, and the monitor does not grow with it."""
    block = pattern(MIB)
    digest = hashlib.sha256()
    for _i in range(BULK):
        digest.update(block)
    process = start("cat", stdout=subprocess.PIPE)
    process.output["stdout"] = Digest()
    process.feed(block for _i in range(BULK))
    process.wait()
    process.result().expect(0, stderr=b"")
    got = process.output["stdout"]
    assert (got.size, got.digest.hexdigest()) == (BULK * MIB, digest.hexdigest()), \
        f"{got.size} bytes of {BULK * MIB} came back, or others"
    assert process.private < PRIVATE_KIB, f"the monitor grew to {process.private} KiB"


class Digest:
    """Stands in for a bytearray that collects output; keeps only its size and hash."""

    def __init__(self):
        self.size, self.digest = 0, hashlib.sha256()

    def __iadd__(self, data):
        self.size += len(data)
        self.digest.update(data)
        return self

    def __bytes__(self):
        return b"%d bytes" % self.size


def test_both_streams_at_once():
    count = 400 if not cordon.HARDWARE else 4000
    script = f"dd if=/dev/zero bs=1024 count={count} >&2 2>/dev/null & " \
             f"seq 1 {count * 100}; wait"
    result = run("sh", "-c", script)
    assert result.status == 0, result.status
    assert result.stdout == b"".join(b"%d\n" % i for i in range(1, count * 100 + 1)), "stdout differs"
    assert result.stderr == bytes(1024 * count), f"{len(result.stderr)} bytes on stderr"


def test_command_does_not_read():
    """A command that ends without reading its input does not wait for it."""
    run("true", stdin=(bytes(65536) for _i in range(10000))).expect(0, b"", b"")
    process = start("true")                 # its stdin stays open
    process.wait().expect(0, b"", b"")


def test_slow_reader():
    """A slow reader holds the command back; the monitor does not buffer the output."""
    read_fd, write_fd = os.pipe()
    process = start("sh", "-c", "dd if=/dev/zero bs=65536 count=64 2>/dev/null; echo end >&2",
                    stdin=subprocess.DEVNULL, stdout=write_fd)
    os.close(write_fd)
    first = os.read(read_fd, 1)             # the command runs
    time.sleep(3)
    assert b"end" not in process.output["stderr"], "4 MiB went nowhere"
    size = len(first)
    while data := os.read(read_fd, 1 << 16):
        size += len(data)
    os.close(read_fd)
    result = process.wait().expect(0, stderr=b"end\n")
    assert size == 64 * 65536, size
    assert result.private < PRIVATE_KIB, result.private


def test_stdout_closed():
    """When the reader goes, the command gets SIGPIPE as in a shell's pipeline, and all ends."""
    read_fd, write_fd = os.pipe()
    process = start("sh", "-c", "yes", stdin=subprocess.DEVNULL, stdout=write_fd)
    os.close(write_fd)
    assert os.read(read_fd, 4) == b"y\ny\n"
    os.close(read_fd)
    result = process.wait()
    assert result.status == 128 + signal.SIGPIPE, repr(result)


@cordon.limit(300)
def test_timeout_with_a_reader_that_stops():
    """--timeout ends the run even while its output waits for a reader."""
    read_fd, write_fd = os.pipe()
    process = start("yes", options=["--timeout", "2s"], stdin=subprocess.DEVNULL, stdout=write_fd)
    os.close(write_fd)
    process.wait().expect(cordon.TIMED_OUT)
    assert os.read(read_fd, 4) == b"y\ny\n"
    os.close(read_fd)


def test_stdout_full():
    with open("/dev/full", "wb") as full:
        result = start("echo", "hello", stdin=subprocess.DEVNULL, stdout=full).wait()
        result.expect_error("No space left")
        start("true", stdin=subprocess.DEVNULL, stdout=full).wait().expect(0, stderr=b"")


def test_stdout_beyond_the_file_size_limit():
    """ulimit -f: a write beyond it fails, as on a full disk; no signal ends the monitor and the sandbox."""
    limit = 300 * MIB                       # the guest's memory is a file, too
    with open(cordon.scratch("large", b""), "ab") as file:
        file.truncate(limit - 3)
        wrap = ["sh", "-c", f'ulimit -f {limit // 512}; exec "$@"', "sh"]
        result = start("sh", "-c", "printf 123; sleep 1; echo hello; exec 2>&-; sleep 1", options=["--memory", "128M"],
                       stdin=subprocess.DEVNULL, stdout=file, wrap=wrap).wait()
        result.expect_error("File too large")
    assert os.stat(file.name).st_size == limit


def test_stdio_not_there():
    """With descriptors 0, 1 and 2 closed at the start, no file of Cordon's takes their place."""
    # As after the end of a reader, the output may end the command by SIGPIPE before it gets to its own end.
    process = start("sh", "-c", "sleep 1; cat; echo out; echo err >&2; exit 3", stdin=None, stdout=None,
                    stderr=None, wrap=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    cordon.wait_until(lambda: cordon.has_vm(process.pid), "a VM", 30)
    assert [os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    result = process.wait()
    assert result.status in (3, 128 + 13, cordon.FAILED), repr(result)


def test_file_as_stdin_and_stdout():
    data = pattern(70000)
    source = cordon.scratch("in", data)
    target = cordon.scratch("out", b"before")
    with open(source, "rb") as stdin, open(target, "ab") as stdout:
        start("cat", stdin=stdin, stdout=stdout).wait().expect(0, stderr=b"")
    with open(target, "rb") as result:
        assert result.read() == b"before" + data
