# SPDX-License-Identifier: Apache-2.0
"""Snapshots, restore and fork: guests that go on, and snapshot files that are damaged or hostile."""
import json
import os
import re
import random
import signal
import struct
import subprocess
import time
import zlib

import cordon
from cordon import Process, call, in_namespace, wait_until, work
from sandboxes import execute, ps, real_time, registry, sandbox

HEADER, SECTION = 128, 20
TOLERANCE = 0.1             # seconds between the clocks of the guest and the host


def seal(data):
    """Recompute the checksums of a snapshot's header and sections."""
    struct.pack_into("<I", data, HEADER - 4, zlib.crc32(data[:HEADER - 4]))
    at, end = HEADER, HEADER + struct.unpack_from("<Q", data, 48)[0]
    while at + SECTION <= min(end, len(data)):
        length = struct.unpack_from("<Q", data, at + 8)[0]
        if at + SECTION + length > end:
            break
        total = zlib.crc32(data[at + SECTION:at + SECTION + length], zlib.crc32(data[at:at + 16]))
        struct.pack_into("<I", data, at + 16, total)
        at += SECTION + length
    return data


def state_end(data):
    return HEADER + struct.unpack_from("<Q", data, 48)[0]


def section(data, kind):
    """Offset of the payload of the first section of a type."""
    at = HEADER
    while struct.unpack_from("<I", data, at)[0] != kind:
        at += SECTION + struct.unpack_from("<Q", data, at + 8)[0]
    return at + SECTION


def numbers(name):
    """The first random bytes that a sandbox reads."""
    return execute(name, "sh", "-c", "head -c 16 /dev/urandom | od -An -tx1").expect(0).stdout


# --- snapshot and restore ---------------------------------------------------------------------------

def restored(snapshot, name, *options, cwd=None):
    """Restore a snapshot. The guest's clock is right: it is set while `restore` runs, so it may be late by as long as
    that takes, and by the second that `date` cuts off. Clocks may differ by TOLERANCE."""
    begun = time.time()
    call("restore", *options, snapshot, name, cwd=cwd).expect(0, b"", b"")
    took = time.time() - begun
    seen, before, after = real_time(name)
    assert before - took - 1 - TOLERANCE <= seen <= after + TOLERANCE, \
        f"{name}: the clock shows {seen}, the host's {before:.2f} to {after:.2f}; the restore took {took:.2f} s"


def test_snapshot_and_restore():
    """One snapshot restores twice at once; each guest goes on where it was, with a life of its own."""
    path = work("snap")
    with sandbox("box"):
        execute("box", "sh", "-c", "echo kept > /tmp/file; (while :; do sleep 1; date +%s > /tmp/now; "
                                   "done) > /dev/null 2>&1 &").expect(0)
        call("snapshot", "box", "snap", cwd=work("")).expect(0, b"", b"")
        execute("box", "cat", "/tmp/file").expect(0, b"kept\n")
        mode = os.stat(path).st_mode & 0o777
        assert mode == 0o600 and os.listdir(work("")) == ["snap"], (oct(mode), os.listdir(work("")))
        seen = {numbers("box")}
    time.sleep(2)
    try:
        restored("snap", "one", cwd=work(""))
        restored(path, "two", "--verify")
        ready = time.time()
        for name in ("one", "two"):
            execute(name, "cat", "/tmp/file").expect(0, b"kept\n", b"")
            execute(name, "hostname").expect(0, name.encode() + b"\n")
            seen.add(numbers(name))
        assert len(seen) == 3, seen
        # A background process that a command left goes on, in real time.
        def goes_on():
            now = execute("one", "cat", "/tmp/now").stdout.strip()
            return now.isdigit() and int(now) > ready
        wait_until(goes_on, "the background process to go on")
        execute("one", "rm", "/tmp/file").expect(0)
        execute("two", "cat", "/tmp/file").expect(0, b"kept\n", b"")
        call("restore", path, "one").expect_error("is running already")
    finally:
        call("kill", "one")
        call("kill", "two")
    # Without being set, the clock would be seconds late.
    for _round in range(5):
        restored(path, "again")
        execute("again", "cat", "/tmp/file").expect(0, b"kept\n", b"")
        call("kill", "again").expect(0)


def test_snapshot_of_a_paused_and_of_a_restored_sandbox():
    with sandbox("box"):
        # Not random bytes: an emulated kernel takes a minute to make that many.
        execute("box", "sh", "-c", "seq 450000 | head -c 3000000 > /tmp/data").expect(0)
        digest = execute("box", "md5sum", "/tmp/data").expect(0).stdout
        call("pause", "box").expect(0)
        call("snapshot", "box", work("first")).expect(0)
        assert ps()["box"]["state"] == "paused"
    call("restore", work("first"), "second").expect(0)
    try:
        execute("second", "md5sum", "/tmp/data").expect(0, digest, b"")
        call("snapshot", "second", work("second")).expect(0)
    finally:
        call("kill", "second")
    os.unlink(work("first"))
    call("restore", work("second"), "third").expect(0)
    try:
        execute("third", "md5sum", "/tmp/data").expect(0, digest, b"")
    finally:
        call("kill", "third")


@cordon.limit(cordon.many(400, 3600))
def test_snapshot_under_traffic():
    """Snapshots taken while commands write and compute: each restored guest works, and no output is garbled."""
    with sandbox("box"):
        talker = Process("exec", "box", "--", "sh", "-c", "while :; do cat; done",
                         stdin=subprocess.DEVNULL)
        stream = Process("exec", "box", "--", "sh", "-c", "yes 0123456789abcde | head -c 4000000")
        for i in range(4):
            call("snapshot", "box", work(f"snap{i}")).expect(0)
        output = stream.wait().expect(0, None, b"").stdout
        assert output == b"0123456789abcde\n" * 250000, len(output)
        talker.signal(signal.SIGKILL)
        talker.wait()
        execute("box", "echo", "fine").expect(0, b"fine\n")
    for i in range(cordon.many(4, 50)):
        call("restore", work(f"snap{i % 4}"), "again").expect(0)
        execute("again", "sh", "-c", "seq 1000 | tail -1").expect(0, b"1000\n", b"")
        execute("again", "cat", stdin=b"x" * 100000).expect(0, b"x" * 100000, b"")
        call("kill", "again").expect(0)


@cordon.limit(400)
def test_bad_files():
    """A truncated, corrupted or foreign file, or another version: one line says what is wrong, and nothing runs."""
    with sandbox("box"):
        call("snapshot", "box", work("snap")).expect(0)
    with open(work("snap"), "rb") as file:
        good = file.read()
    end = state_end(good)

    def refused(data, *words):
        with open(work("bad"), "wb") as file:
            file.write(data)
        call("restore", work("bad"), "bad").expect_error("bad", *words)
        assert ps() == {}, "it runs"

    rng = random.Random(1)
    for length in [0, 7, HEADER - 1, HEADER, end - 1, end, len(good) - 1,
                   *(rng.randrange(len(good)) for _i in range(10))]:
        refused(good[:length])
    for _i in range(40):
        data = bytearray(good)
        at = rng.randrange(end * 8)
        data[at // 8] ^= 1 << at % 8
        refused(data)
    data = bytearray(good)
    struct.pack_into("<I", data, 12, 99)
    refused(seal(data), "format version 99")
    data = bytearray(good)
    struct.pack_into("<I", data, 8, 183)
    refused(seal(data), "architecture")
    refused(b"#!/bin/sh\n" + b"x" * 10000, "not a snapshot")
    call("restore", "/dev/null", "bad").expect_error("plain file")
    call("restore", work("none"), "bad").expect_error("none")
    # Memory is checked only with --verify.
    data = bytearray(good)
    data[-5000] ^= 1
    with open(work("bad"), "wb") as file:
        file.write(data)
    call("restore", "--verify", work("bad"), "bad").expect_error("memory")
    # The positive twin.
    data = seal(bytearray(good))
    assert data == good
    call("restore", work("snap"), "good").expect(0)
    execute("good", "echo", "fine").expect(0, b"fine\n")
    call("kill", "good").expect(0)


@cordon.limit(400)
def test_a_restore_can_be_interrupted():
    """Ctrl-C while the file is read, and SIGTERM to the monitor: it ends soon, and nothing is left."""
    with sandbox("box"):
        call("snapshot", "box", work("snap")).expect(0)
    with open(work("snap"), "rb") as file:
        data = bytearray(file.read())
    # The last segment of memory is a terabyte long, and a hole in the file.
    table = section(data, 7)
    last = table + 4 + 28 * (struct.unpack_from("<I", data, table)[0] - 1)
    struct.pack_into("<Q", data, last + 8, 1 << 40)
    with open(work("snap"), "wb") as file:
        file.write(seal(data))
        file.truncate(struct.unpack_from("<Q", data, last + 16)[0] + (1 << 40))

    def monitor_of(name):
        """The monitor's process id, once it has written it: its control socket appears only when all is read."""
        try:
            with open(registry(name, "lock"), encoding="utf-8") as lock:
                return int(lock.read() or 0)
        except FileNotFoundError:
            return 0

    def reads():
        slow = Process("restore", "--verify", work("snap"), "slow")
        wait_until(lambda: monitor_of("slow"), "the monitor")
        time.sleep(1)
        assert slow.popen.poll() is None, "it has ended by itself"
        return slow, monitor_of("slow")

    slow, monitor = reads()
    os.kill(monitor, signal.SIGTERM)
    slow.wait().expect_error("stopped before it was ready")
    slow, monitor = reads()
    slow.signal(signal.SIGINT)
    slow.wait()
    wait_until(lambda: not cordon.alive(monitor), "the end of the monitor", 20)
    assert not os.path.exists(registry("slow")) and ps() == {}


@cordon.limit(400)
def test_kill_9_while_saving():
    """A monitor killed while it saves leaves the old file or the whole new one."""
    # Beside it is at most the temporary file: where the file system must give it a name (an overlay of an old
    # kernel), or if the kill hits the last moment.
    with sandbox("box"):
        call("snapshot", "box", work("snap")).expect(0)
        call("snapshot", "box", work("snap")).expect_error("snap exists", "--force")
    with open(work("snap"), "rb") as file:
        old = file.read()
    for i in range(8):
        call("start", "box").expect(0)
        pid = ps()["box"]["pid"]
        saving = Process("snapshot", "--force", "box", work("snap"))
        time.sleep(0.01 * i * cordon.TIME_SCALE)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        saving.wait()
        wait_until(lambda: not cordon.alive(pid), "its end")
        for name in os.listdir(work("")):
            assert re.fullmatch(r"snap(\.\w{6})?", name), os.listdir(work(""))
            if name != "snap":
                os.unlink(work(name))
        with open(work("snap"), "rb") as file:
            new = file.read()
        if new != old:
            old = new
            call("restore", "--verify", work("snap"), "check").expect(0)
            call("kill", "check").expect(0)
    assert ps() == {}


def test_disk_full_while_saving():
    """The file is the client's: on its disk, and gone with what failed."""
    small = work("small")
    os.mkdir(small)
    wrap = in_namespace(f"mount -t tmpfs -o size=4m tmpfs {small}\n"
                        f'"$@"; status=$?; ls -A {small} >{work("left")}; exit $status')
    with sandbox("box"):
        call("snapshot", "box", os.path.join(small, "snap"), wrap=wrap).expect_error("No space left")
        with open(work("left"), encoding="utf-8") as left:
            assert left.read() == ""
        call("snapshot", "box", work("none/snap")).expect_error("none/snap")
        call("snapshot", "--force", "box", small).expect_error("small")        # a directory
        execute("box", "echo", "fine").expect(0, b"fine\n")
        call("snapshot", "box", work("snap")).expect(0)


def test_avx_survives():
    """Vector registers are right after a restore (or hidden), those of an interrupted process too."""
    with open(cordon.program("avx"), "rb") as program:
        data = program.read()
    with sandbox("box"):
        execute("box", "sh", "-c", "cat > /tmp/avx; chmod 755 /tmp/avx", stdin=data).expect(0)
        script = "(while :; do /tmp/avx 2; done) > /tmp/avx.log 2>&1 &"
        execute("box", "sh", "-c", script).expect(0)
        wait_until(lambda: execute("box", "cat", "/tmp/avx.log").stdout, "its first result")
        call("snapshot", "box", work("snap")).expect(0)
    call("restore", work("snap"), "again").expect(0)
    try:
        def results():
            return execute("again", "cat", "/tmp/avx.log").stdout.count(b"\n")
        before = results()
        wait_until(lambda: results() >= before + 2, "results after the restore")
        seen = set(execute("again", "sort", "-u", "/tmp/avx.log").expect(0).stdout.split(b"\n"))
        assert seen - {b""} in ({b"hidden"}, {b"right 2"}), seen
    finally:
        call("kill", "again")


# --- fork -------------------------------------------------------------------------------------------

def machine_id(name):
    text = execute(name, "cat", "/etc/machine-id").expect(0, None, b"").stdout
    assert len(text) == 33 and int(text, 16), text
    return text


@cordon.limit(cordon.many(400, 3600))
def test_fork():
    """Eight forks of one: memory is as it was; names, machine ids and random numbers differ; writes are private."""
    count = cordon.many(8, 100)
    with sandbox("box"):
        own = machine_id("box")
        execute("box", "sh", "-c", "echo kept > /tmp/file").expect(0)
        names = [f"box-{i}" for i in range(1, count + 1)]
        try:
            made = call("fork", "box", str(count)).expect(0, None, b"").stdout.decode().split()
            assert made == names, made
            assert sorted(ps()) == sorted(["box", *names])
            seen = {numbers(name) for name in ["box", *names]}
            assert len(seen) == count + 1, seen
            ids = {machine_id(name) for name in names}
            assert len(ids) == count and own not in ids and machine_id("box") == own, (own, ids)
            for name in names[:3]:
                execute(name, "hostname").expect(0, name.encode() + b"\n")
                execute(name, "cat", "/tmp/file").expect(0, b"kept\n", b"")
            execute("box-1", "sh", "-c", "echo changed > /tmp/file").expect(0)
            execute("box", "cat", "/tmp/file").expect(0, b"kept\n", b"")
            execute("box-2", "cat", "/tmp/file").expect(0, b"kept\n", b"")
            assert not [f for f in os.listdir(registry("box")) if "snapshot" in f]
            call("fork", "box", "1").expect_error("box-1", "is running already")
            for bad in (["box", "0"], ["box", "x"], ["box"], ["none", "1"]):
                call("fork", *bad).expect_error()
        finally:
            for name in names:
                call("kill", name)


@cordon.limit(400)
def test_forks_have_audit_logs():
    """Each fork has its own audit log, in its record or where --audit says, but not in a share."""
    top = work("top")
    os.makedirs(top)
    with sandbox("box", "--share", f"{top}:/w"):
        call("fork", "--audit", os.path.join(top, "log"), "box", "1").expect_error("the audit log")
        call("fork", "--audit", "log", "box", "2", cwd=os.path.dirname(top)).expect(0, b"box-1\nbox-2\n", b"")
        try:
            execute("box-2", "sh", "-c", "echo x > /w/two").expect(0)
            assert b"/w/two" in call("audit", "box-2").expect(0).stdout
        finally:
            for name in ("box-1", "box-2"):
                call("stop", name).expect(0)
    ended = {item["name"]: item for item in json.loads(call("ps", "-a", "--json").expect(0).stdout)}
    for number, touched in ((1, False), (2, True)):
        log = work(f"log-{number}")
        assert ended[f"box-{number}"]["kind"] == "fork" and ended[f"box-{number}"]["audit"] == log, ended
        assert (b"/w/two" in call("audit", f"box-{number}").expect(0).stdout) == touched, number
        assert (b"/w/two" in call("audit", log).expect(0).stdout) == touched, number
        assert b"are whole" in call("audit", "--verify", log).expect(0, None, b"").stdout
    assert not os.path.exists(work("log"))
