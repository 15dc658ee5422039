# SPDX-License-Identifier: Apache-2.0
"""Shares: operations of a program in the guest, and of the monitor's file server alone."""

import os
import shutil

from harness.model import Group, Probe
from suites import figures

PREFIX = "throughput.share."
MIB = 1 << 20
# Of bench/files: title and unit.
OPERATIONS = {
    "stat": ("look at a file (stat)", "1/s"),
    "read-small": ("open, read 4 KiB, close", "1/s"),
    "create": ("create, write 4 KiB, close, remove", "1/s"),
    "list": ("list 100 names", "1/s"),
    "read-big": ("read a big file by 128 KiB", "MB/s"),
    "write-big": ("write a big file by 128 KiB", "MB/s"),
}
REQUESTS = {
    "lookup": ("LOOKUP of a cached name", "1/s"),
    "open-read": ("OPEN, READ of 4 KiB, RELEASE", "1/s"),
    "read": ("READ of 128 KiB", "MB/s"),
}
RULES = "under 1,000 rules"


def make_directory(bench, mib):
    """A directory to share, as bench/files/client.c wants it."""
    path = bench.path("share")
    os.makedirs(os.path.join(path, "many"), exist_ok=True)
    for number in range(100):
        with open(os.path.join(path, "many", f"name-{number}"), "wb"):
            pass
    with open(os.path.join(path, "big"), "wb") as big:
        for _ in range(mib):
            big.write(os.urandom(MIB))
    return path


def guest_group(bench):
    rows = [row for name, what in OPERATIONS.items() for row in figures.twin(PREFIX + name, *what, "on the host")]
    seconds = bench.size(0.4, quick=0.1)
    mib = bench.size(256, quick=32, emulated=1)

    def prepare(b):
        figures.template_once(b)
        make_directory(b, mib)

    def sample(b):
        share = b.path("share")
        guest = figures.run_in_guest(b, "files-client", ["/w", seconds], ("--share", f"{share}:/w"))
        _, host, _ = b.run([b.program("files-client"), share, str(seconds)])
        return figures.both(guest, host, PREFIX, rows)

    each = 2 * seconds * len(OPERATIONS) + (6 if bench.emulated else 0.5)
    rounds = bench.size(6, quick=3, emulated=1 if bench.quick else 4)
    return Group("throughput", "shares", "A directory of the host in the guest (--share)",
                 [Probe(rows, sample, rounds, prepare=prepare, finish=lambda b: shutil.rmtree(b.path("share")))],
                 seconds=rounds * each, plot="ratios", note="Writable, so the guest caches nothing of it.")


def server_group(bench):
    prefix = PREFIX + "server."
    files = bench.size(5000, quick=500)
    rows = []
    for name, (title, unit) in [("lookup", REQUESTS["lookup"]), *OPERATIONS.items(), ("tree", (f"list, look at and read {files:,} files", "ms"))]:
        twins = figures.twin(prefix + name, title, unit, "system calls of the host")
        ruled = figures.twin(prefix + name + ".rules", f"{title}, {RULES}", unit, "")[0]
        rows += [twins[0], figures.against(ruled, twins[1]), twins[1]]
    seconds = bench.size(0.15, quick=0.03)

    def sample(b):
        _, out, _ = b.run([b.program("files-server"), b.environment["TMPDIR"], str(seconds), str(files)])
        return figures.parse(out, prefix, rows)

    rounds = bench.size(5, quick=2)
    return Group("throughput", "share-server", "The file server behind shares, without a guest", [Probe(rows, sample, rounds)],
                 seconds=rounds * (3 * (len(OPERATIONS) + 1) * seconds + files / 3000), plot="ratios",
                 note="Requests of a client in the same process.")


def process_group(bench):
    prefix = PREFIX + "process."
    rows = []
    for name, (title, unit) in REQUESTS.items():
        twins = figures.twin(prefix + name, f"{title}, by its process", unit, "system calls of the host")
        others = [figures.twin(prefix + name + suffix, title + more, unit, "")[0]
                  for suffix, more in ((".session", ", in the caller's thread"), (".rules", f", by its process, {RULES}"),
                                       (".session.rules", f", in the caller's thread, {RULES}"))]
        rows += [twins[0], *(figures.against(row, twins[1]) for row in others), twins[1]]
    seconds = bench.size(0.15, quick=0.03)

    def sample(b):
        _, out, _ = b.run([b.program("files-process"), b.environment["TMPDIR"], str(seconds)])
        return figures.parse(out, prefix, rows)

    rounds = bench.size(5, quick=2)
    return Group("throughput", "share-process", "A request to the file server, in a process of its own and without one",
                 [Probe(rows, sample, rounds)], seconds=rounds * 5 * len(REQUESTS) * seconds, plot="ratios",
                 note="Requests of a client on the host.")


def groups(bench, _options):
    return [guest_group(bench), server_group(bench), process_group(bench)]
