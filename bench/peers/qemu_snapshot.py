# SPDX-License-Identifier: Apache-2.0
"""QEMU microvm restored from a snapshot: Cordon's guest kernel and a busybox waited for a command when it was saved.

The command goes in and its output comes out through the serial port. The snapshot is a migration to a file, which
QEMU reads whole at each start.
"""

import json
import os
import shlex
import socket
import subprocess
import time

from harness.context import last_line
from harness.model import NotMeasured, TimedOut
from peers import qemu

NAME = "qemu-snapshot"
TITLE = "QEMU microvm, from a snapshot"
READY = b"ready"
LINE = 65536            # bytes that are read of what QEMU says at once
SAVE_LIMIT = 60         # seconds


def snapshot(bench):
    return bench.path("qemu.snapshot")


def machine(work):
    return qemu.machine(work.memory, "-kernel", work.kernel, "-initrd", work.waiting, "-append",
                        work.cmdline + " console=ttyS0 bench_wait=1", "-serial", "stdio")


def ask(connection, command, end, **arguments):
    """One request of QEMU's control protocol, until a time: the reply."""
    connection.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
    connection.flush()
    while time.monotonic() < end:
        line = connection.readline(LINE)
        if not line:
            raise NotMeasured(f"QEMU ended while it was asked to {command}")
        reply = json.loads(line)
        if "error" in reply:
            raise NotMeasured(f"QEMU refused to {command}: {reply['error'].get('desc')}")
        if "return" in reply:
            return reply["return"]
    raise TimedOut(f"QEMU did not {command} within {SAVE_LIMIT} s")


def wait_ready(process, stuck, limit):
    """Until the guest says that it waits."""
    end = time.monotonic() + limit
    said = b""
    os.set_blocking(process.stdout.fileno(), False)
    while READY not in said:
        time.sleep(0.05)
        said = (said + (process.stdout.read1(LINE) or b""))[-LINE:]
        if process.poll() is not None or time.monotonic() > end or any(text in said for text in stuck):
            lines = [line for line in said.splitlines() if any(text in line for text in stuck)]
            raise NotMeasured("qemu-system-x86_64 did not come to wait for a command: " + last_line(b"".join(lines[:1]) or said))


def save(path, file):
    """Has a running QEMU write its machine to a file, and end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SAVE_LIMIT)
        client.connect(path)
        end = time.monotonic() + SAVE_LIMIT
        with client.makefile("rwb") as connection:
            connection.readline(LINE)
            ask(connection, "qmp_capabilities", end)
            ask(connection, "migrate", end, uri=f"exec:cat >{shlex.quote(file)}")
            while (status := ask(connection, "query-migrate", end).get("status")) not in ("completed", "failed"):
                time.sleep(0.05)
            if status == "failed":
                raise NotMeasured("QEMU could not save the machine")
            ask(connection, "quit", end)


def prepare(bench, work):
    start = machine(work)
    path = bench.path("qmp")
    process = bench.start([*start.argv, "-qmp", f"unix:{path},server=on,wait=off"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_ready(process, start.stuck, work.boot_limit)
        save(path, snapshot(bench))
    except OSError as error:
        raise NotMeasured(f"QEMU's control socket: {error.strerror or error}") from None
    finally:
        bench.stop(process)


def command(bench, work, argv):
    start = machine(work)
    start.argv += ["-incoming", f"exec:cat {shlex.quote(snapshot(bench))}"]
    # The serial port takes a first byte that it forgets when its state is restored; the guest skips empty lines.
    start.stdin = b"\n" + shlex.join(argv).encode() + b"\n"
    return start
