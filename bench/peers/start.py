# SPDX-License-Identifier: Apache-2.0
"""How a peer is started, and how its end is seen."""

import dataclasses
import os
import select
import subprocess
import time

from harness.context import last_line, tree
from harness.host import read
from harness.model import NotMeasured

KEEP = 65536            # bytes of what a peer prints that are kept


@dataclasses.dataclass
class Start:
    """A program that does the work and ends. Another status, or one of the signs that it never will end, is a failure."""
    argv: list
    status: int = 0
    stuck: tuple = ()       # texts on its outputs
    stdin: bytes = b""      # what it reads, to its end


class Outputs:
    """What a process prints, without end: the first bytes are kept, the rest is read and dropped."""

    def __init__(self, *streams):
        self.kept = {stream.fileno(): b"" for stream in streams}
        self.open = set(self.kept)
        for fd in self.open:
            os.set_blocking(fd, False)

    def read(self, fd):
        try:
            data = os.read(fd, KEEP)
        except BlockingIOError:
            return
        if not data:
            self.open.discard(fd)
        self.kept[fd] += data[:KEEP - len(self.kept[fd])]

    def drain(self):
        for fd in list(self.open):
            self.read(fd)

    def has(self, texts):
        """The first of the texts that was printed."""
        return next((text for text in texts if any(text in data for data in self.kept.values())), None)


def clean(data):
    """Text of a peer on one line, short and without control characters."""
    return last_line(b" ".join(data.split()))


def message(start, out, err):
    """What a failed program says: where it looks stuck, or the first line with an error, else its last line."""
    lines = (err + b"\n" + out).splitlines()
    for text in (*start.stuck, b"rror"):
        found = [line for line in lines if text in line]
        if found:
            return clean(found[0])
    return last_line(err if err.strip() else out)


def wait(process, start, outputs, limit):
    """Until the process has ended (seconds since began), or is stuck (None)."""
    ended = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        for fd in (ended, *outputs.open):
            poll.register(fd, select.POLLIN)
        while True:
            left = limit - time.perf_counter()
            ready = [fd for fd, _ in poll.poll(max(left, 0) * 1e3)]
            if ended in ready:
                return time.perf_counter()
            for fd in ready:
                outputs.read(fd)
                if fd not in outputs.open:
                    poll.unregister(fd)
            # A process that prints all the time is always ready.
            if left <= 0 or outputs.has(start.stuck):
                return None
    finally:
        os.close(ended)


def execute(bench, start, limit):
    """Runs a Start to its end: (seconds from exec to exit, stdout, stderr). NotMeasured if it fails or does not end."""
    name = os.path.basename(start.argv[0])
    began = time.perf_counter()
    process = bench.start(start.argv, stdin=subprocess.PIPE if start.stdin else subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if start.stdin:
            process.stdin.write(start.stdin)
            process.stdin.flush()
        outputs = Outputs(process.stdout, process.stderr)
        end = wait(process, start, outputs, began + limit)
        outputs.drain()
        out, err = outputs.kept.values()
    except BrokenPipeError:
        end, out, err = None, b"", b""
    finally:
        bench.stop(process)
    if end is None:
        said = message(start, out, err)
        why = "stopped" if any(text in err + out for text in start.stuck) else f"did not end within {limit:g} s"
        raise NotMeasured(f"{name} {why}: {said}")
    if process.returncode != start.status:
        raise NotMeasured(f"{name} ended with status {process.returncode}: {message(start, out, err)}")
    return end - began, out, err


def still_runs(bench, start, seconds, look=None):
    """Starts a guest that never ends, and returns look(process) after some time. NotMeasured if it does not run then."""
    name = os.path.basename(start.argv[0])
    process = bench.start(start.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        outputs = Outputs(process.stdout, process.stderr)
        end = wait(process, start, outputs, time.perf_counter() + seconds)
        outputs.drain()
        out, err = outputs.kept.values()
        if outputs.has(start.stuck) or (end is not None and (err + out).strip()):
            raise NotMeasured(f"{name} does not run a guest: {message(start, out, err)}")
        if end is not None:
            raise NotMeasured(f"{name} does not run a guest: it ended while the guest must still have run")
        return look(process) if look else None
    finally:
        bench.stop(process)


# --- memory -----------------------------------------------------------------------------------


def mappings(pid):
    """(size, proportional size) in KiB of each mapping of a process."""
    size = 0
    for line in read(f"/proc/{pid}/smaps").splitlines():
        field, _, rest = line.partition(":")
        if field == "Size":
            size = int(rest.split()[0])
        elif field == "Pss":
            yield size, int(rest.split()[0])


def beyond_guest(process, guest_kib):
    """KiB of the processes' memory without the guest's: a mapping of half of the guest's size or more is the guest's."""
    total = sum(pss for pid in tree(process.pid) for size, pss in mappings(pid) if size < guest_kib // 2)
    if not total:
        raise NotMeasured(f"no memory to see of process {process.pid}")
    return total
