# SPDX-License-Identifier: Apache-2.0
"""What many sandboxes cost: memory of the monitor, memory and time of N from one template, processor time of idle ones."""

import re
import select
import subprocess
import threading
import time

from harness.host import read
from harness.load import parse_stat
from harness.model import Group, NotMeasured, Probe, Row
from suites.start import make_template

MEMORY_MIB = 256            # the default: there is a template already
HEAD = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ")
IDLE_COUNT = 20
FLOW_SECONDS = 60


# --- memory of one process ------------------------------------------------------------------------


def parse_smaps(text):
    """A list for each mapping: start, end, private KiB."""
    mappings = []
    for line in text.splitlines():
        head = HEAD.match(line)
        if head:
            mappings.append([int(head[1], 16), int(head[2], 16), 0])
        elif line.startswith(("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")):
            mappings[-1][2] += int(line.split()[1])
    return mappings


def guest_memory(mappings, size):
    """The adjacent mappings that are the guest's memory, as (first, last + 1).

    A stack that happens to lie before them can make other mappings add up, too: those with the most memory are meant.
    """
    found = []
    for first, (start, *_) in enumerate(mappings):
        end = start
        for last in range(first, len(mappings)):
            if mappings[last][0] != end or end - start > size:
                break
            end = mappings[last][1]
            if end - start == size:
                found.append((sum(m[2] for m in mappings[first:last + 1]), first, last + 1))
    if not found:
        raise NotMeasured("cannot tell the guest's memory from the monitor's in /proc/PID/smaps")
    return max(found)[1:]


def monitor_kib(pid):
    """(private KiB of the monitor without the guest's memory, private KiB of the guest's memory)"""
    mappings = parse_smaps(read(f"/proc/{pid}/smaps"))
    first, end = guest_memory(mappings, MEMORY_MIB << 20)
    return sum(m[2] for m in mappings[:first] + mappings[end:]), sum(m[2] for m in mappings[first:end])


def pid_of(bench, name):
    for entry in bench.json_of("ps", "--json"):
        if entry["name"] == name:
            return entry["pid"]
    raise NotMeasured(f"sandbox {name} has gone")


def flow_probe(bench):
    """The monitor while bytes flow through `cat` in the sandbox: its memory must not grow with them."""
    size = bench.size(256 << 20, quick=32 << 20, emulated=1 << 20)
    rows = [Row("density.flow", f"monitor's private memory, at most, while {size >> 20} MiB flow through cat", "KiB"),
            Row("density.flow.rate", f"standard input to output through cat, {size >> 20} MiB", "MB/s", better="more")]

    def sample(b):
        began = time.monotonic()
        process = b.start([b.cordon, "run", "--", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            feeder = threading.Thread(target=feed, args=(process.stdin, size))
            feeder.start()
            most, got, next_look = 0, 0, 0
            while got < size:
                ready = select.select([process.stdout], [], [], FLOW_SECONDS)[0]
                data = process.stdout.read1(1 << 20) if ready else b""
                if not data or time.monotonic() - began > FLOW_SECONDS:
                    raise NotMeasured(f"only {got} of {size} bytes came back within {FLOW_SECONDS} s")
                began = began if got else time.monotonic()
                got += len(data)
                if got >= next_look:
                    most = max(most, monitor_kib(process.pid)[0])
                    next_look += size // 8
            return {rows[0].id: most, rows[1].id: size / 1e6 / (time.monotonic() - began)}
        finally:
            b.stop(process)
            feeder.join()

    return Probe(rows, sample, 2 if bench.quick else 5)


def feed(pipe, size):
    """Writes so many bytes; the reader may end before."""
    try:
        for _ in range(size >> 16):
            pipe.write(bytes(1 << 16))
        pipe.flush()
    except OSError:
        pass


def monitor_group(bench):
    rows = [Row("density.monitor", "monitor's private memory beyond the guest's, idle guest", "KiB"),
            Row("density.guest", f"guest's memory in use, of {MEMORY_MIB} MiB, from a template", "KiB")]

    def sample(b):
        b.run_cordon("start", "idle", timeout=600)
        own, guest = monitor_kib(pid_of(b, "idle"))
        b.run_cordon("kill", "idle")
        return {rows[0].id: own, rows[1].id: guest}

    return Group("density", "monitor", "Memory of one sandbox", [
        Probe(rows, sample, 3 if bench.quick else 10, prepare=make_template, finish=lambda b: b.kill_sandboxes()),
        flow_probe(bench)], seconds=(9 if bench.quick else 25) if bench.emulated else 5)


# --- many -----------------------------------------------------------------------------------------


def counts(bench):
    """So many sandboxes at which the memory of each is looked at."""
    return [1, 5, 10] if bench.quick else [1, 5, 10, 20, 50, 100]


def available_kib():
    return int(re.search(r"^MemAvailable:\s*(\d+)", read("/proc/meminfo"), re.M)[1])


def many_group(bench):
    steps = counts(bench)
    private = {n: Row(f"density.private.{n}", f"private memory of each of {n}", "MiB", series="private memory of each", x=n)
               for n in steps}
    host = {n: Row(f"density.host.{n}", f"memory of the host for each of {n}", "MiB",
                   series="memory of the host for each", x=n) for n in steps}
    times = {n: Row(f"density.start.{n}", f"start of a sandbox, up to {n} running", "ms", series="start of the next one", x=n)
             for n in steps}

    def sample(b):
        figures = {}
        names, recent = [], []
        before = available_kib()
        for n in range(1, steps[-1] + 1):
            names.append(f"many{n}")
            recent.append(b.run_cordon("start", names[-1], timeout=600)[0] * 1e3)
            if n in steps:
                used = [b.json_of("stats", "--json", name)["private_kib"] / 1024 for name in names]
                figures[private[n].id] = used
                figures[host[n].id] = max(0.0, (before - available_kib()) / 1024 / n)
                figures[times[n].id] = recent
                recent = []
        b.kill_sandboxes()
        return figures

    rows = [row for some in (private, host, times) for row in some.values()]
    return Group("density", "many", "Sandboxes from one template", [
        Probe(rows, sample, 1, prepare=make_template, finish=lambda b: b.kill_sandboxes())],
        seconds=5 if bench.quick else 60, plot="curves:sandboxes",
        note="Private memory includes the guest's pages that differ from the template.")


def processor_seconds(pids):
    return sum(parse_stat(read(f"/proc/{pid}/stat"))[1] for pid in pids)


def idle_group(bench):
    count = 5 if bench.quick else IDLE_COUNT
    seconds = 5.0 if bench.quick else 20.0
    row = Row("density.idle", f"processor time of {count} idle sandboxes, for each, of a processor", "%")

    def start(b):
        make_template(b)
        for n in range(count):
            b.run_cordon("start", f"idle{n}", timeout=600)

    def sample(b):
        pids = [entry["pid"] for entry in b.json_of("ps", "--json")]
        before, began = processor_seconds(pids), time.monotonic()
        time.sleep(seconds)
        used, passed = processor_seconds(pids) - before, time.monotonic() - began
        return {row.id: 100 * used / passed / count}

    return Group("density", "idle", "Idle sandboxes", [
        Probe([row], sample, 1 if bench.quick else 3, prepare=start, finish=lambda b: b.kill_sandboxes())],
        seconds=8 if bench.quick else 75)


def groups(bench, _options):
    return [monitor_group(bench), many_group(bench), idle_group(bench)]
