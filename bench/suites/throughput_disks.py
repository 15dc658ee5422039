# SPDX-License-Identifier: Apache-2.0
"""Disks as a program in a Linux guest sees them: bench/disk on a scratch disk, without the guest's page cache."""

from harness.model import Group, Probe
from suites import figures

PREFIX = "throughput.blk."
HOST = "cached file of the host"
# Pattern of bench/disk: title, unit, whether it is quick where ring 0 is emulated.
PATTERNS = {
    "read-4k-d1": ("read 4 KiB, random, one at a time", "1/s", True),
    "read-4k-d32": ("read 4 KiB, random, 32 at a time", "1/s", True),
    "read-4k-seq-d32": ("read 4 KiB, sequential, 32 at a time", "1/s", False),
    "read-128k-d1": ("read 128 KiB, sequential, one at a time", "MB/s", True),
    "read-128k-d32": ("read 128 KiB, sequential, 32 at a time", "MB/s", False),
    "read-1m-d1": ("read 1 MiB, sequential, one at a time", "MB/s", False),
    "read-1m-d32": ("read 1 MiB, sequential, 32 at a time", "MB/s", False),
    "write-4k-d1": ("write 4 KiB, random, one at a time", "1/s", True),
    "write-4k-d32": ("write 4 KiB, random, 32 at a time", "1/s", False),
    "write-1m-d32": ("write 1 MiB, sequential, 32 at a time", "MB/s", False),
    "flush-4k": ("write 4 KiB and flush, random, one at a time", "us", True),
}


def groups(bench, _options):
    shrunk = bench.emulated and bench.quick
    chosen = [name for name, (_, _, quick) in PATTERNS.items() if quick or not shrunk]
    rows = [row for name in chosen for row in figures.twin(PREFIX + name, *PATTERNS[name][:2], HOST)]
    mib = bench.size(256, quick=64, emulated=2 if bench.quick else 16)
    seconds = bench.size(0.25, quick=0.1)

    def sample(b):
        guest = figures.run_in_guest(b, "disk", ["/bench-file", mib, seconds, "direct", *chosen], ("--disk", "1G"))
        path = b.path("tmp", "disk-file")       # the monitor's scratch disks are there, too
        _, host, _ = b.run([b.program("disk"), path, str(mib), str(seconds), "cached", *chosen])
        return figures.both(guest, host, PREFIX, rows)

    each = 2 * seconds * len(chosen) + ((5 if bench.quick else 20) if bench.emulated else 0.5)
    rounds = bench.size(8, quick=3, emulated=1 if bench.quick else 4)
    return [Group("throughput", "disks", "Disks, from a program in the guest",
                  [Probe(rows, sample, rounds, prepare=figures.template_once)], seconds=rounds * each, plot="ratios",
                  note=f"A file of {mib} MiB on the scratch disk of --disk, with O_DIRECT: no cache of the guest, but the host's.")]
