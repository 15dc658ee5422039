# SPDX-License-Identifier: Apache-2.0
"""Streams between host and guest over vsock."""

from harness.model import Group, Probe
from suites import figures

HOST = "socket pair"
PREFIX = "throughput.vsock."


def rows_of(streams):
    """The rows for each number of streams."""
    rows = []
    for count in streams:
        several = "1 stream" if count == 1 else f"{count} streams"
        rows += figures.twin(f"{PREFIX}to-guest.{count}", f"host to guest, {several}", "MB/s", HOST)
        rows += figures.twin(f"{PREFIX}from-guest.{count}", f"guest to host, {several}", "MB/s", HOST)
        if count == 1:
            rows += figures.twin(f"{PREFIX}round-trip", "round trip of 64 bytes", "us", HOST)
        else:
            rows += figures.twin(f"{PREFIX}round-trips.{count}", f"round trips of 64 bytes, {several}", "1/s", HOST)
    return rows


def groups(bench, _options):
    streams = [1, 4, 16, 64] if not bench.quick else [1, 4] if bench.emulated else [1, 16]
    kib = bench.size(64 << 10, quick=16 << 10, emulated=64 if bench.quick else 512)
    trips = bench.size(4096, quick=1024, emulated=8 if bench.quick else 64)
    rows = rows_of(streams)

    def sample(b):
        _, out, _ = b.run([b.program("vsock"), b.cordon, b.program("vsock-guest"), str(kib), str(trips), *map(str, streams)],
                          timeout=120)
        return figures.parse(out, PREFIX, rows)

    note = f"vsock carries a sandbox's commands, shares and published sockets. {kib} KiB and {trips} round trips for each row."
    return [Group("throughput", "vsock", "Streams between the host and a program in the guest (vsock)",
                  [Probe(rows, sample, 3 if bench.quick else 10, prepare=figures.template_once)],
                  seconds=(4 if bench.quick else 60) if bench.emulated else 3 if bench.quick else 20, plot="ratios", note=note)]
