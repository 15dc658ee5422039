# SPDX-License-Identifier: Apache-2.0
"""Disks, sockets and the network from a guest without Linux, which drives the devices itself; and the same work on the host.

The guest (bench/metal) runs in ring 3, so this is the devices' own speed also where the host's KVM emulates ring 0.
"""

import os
import socket

from harness.model import Group, NotMeasured, Probe, Row
from suites import figures

MIB = 1 << 20
PORT = 5000

# Of a disk: name, operation, pattern, bytes of a request, requests at once, unit. Reads are of an image, the rest of a
# scratch disk.
DISKS = [
    ("read-4k-d1", "read", "random", 4096, 1, "1/s"),
    ("read-4k-d32", "read", "random", 4096, 32, "1/s"),
    ("read-128k-d1", "read", "sequential", MIB // 8, 1, "MB/s"),
    ("read-128k-d32", "read", "sequential", MIB // 8, 32, "MB/s"),
    ("read-1m-d32", "read", "sequential", MIB, 32, "MB/s"),
    ("write-4k-d1", "write", "random", 4096, 1, "1/s"),
    ("write-4k-d32", "write", "random", 4096, 32, "1/s"),
    ("write-128k-d32", "write", "sequential", MIB // 8, 32, "MB/s"),
    ("flush-4k-d1", "flush", "random", 4096, 1, "us"),
]

# Of a socket: name, title, what the guest does, bytes of a write, bytes in all, unit.
SOCKETS = [
    ("to-guest-4k", "host to guest, writes of 4 KiB", "receive", 4096, 64 * MIB, "MB/s"),
    ("to-guest-64k", "host to guest, writes of 64 KiB", "receive", 65536, 512 * MIB, "MB/s"),
    ("from-guest-4k", "guest to host, writes of 4 KiB", "send", 4096, 64 * MIB, "MB/s"),
    ("from-guest-64k", "guest to host, writes of 64 KiB", "send", 65536, 512 * MIB, "MB/s"),
    ("round-trip-64", "round trip of 64 bytes", "echo", 64, 64 * 5000, "us"),
]

# Of the network card: name, title, kind, bytes of the payload, frames at once, unit. The relay answers ARP requests, and
# sends datagrams to a socket of the host, which nothing reads.
FRAMES = [
    ("arp-d1", "ARP request and reply", "arp", 0, 1, "us"),
    ("arp-d32", "ARP requests and replies, 32 at a time", "arp", 0, 32, "1/s"),
    ("udp-18", "datagrams of 18 bytes to the host", "udp", 18, 32, "1/s"),
    ("udp-1472", "datagrams of 1,472 bytes to the host", "udp", 1472, 32, "1/s"),
]


def disk_title(operation, pattern, size, depth):
    size = f"{size >> 20} MiB" if size >= MIB else f"{size >> 10} KiB"
    what = {"read": f"read {size}", "write": f"write {size}", "flush": f"write {size} and flush"}[operation]
    return f"{what}, {pattern}, {'one' if depth == 1 else depth} at a time"


def host_of(operation):
    return {"read": "pread, cached", "write": "pwrite", "flush": "pwrite, fdatasync"}[operation]


def rate(per_second, size, unit):
    """Requests a second, in the unit of the row."""
    if unit == "us":
        return 1e6 / per_second
    return per_second * size / 1e6 if unit == "MB/s" else per_second


class Metal:
    """What the probes share: the sizes, the image and the host's clock."""

    def __init__(self, bench):
        self.disk = bench.size(256 * MIB, quick=64 * MIB)
        self.seconds = bench.size(0.4, quick=0.08)
        self.image = bench.path("metal-image")
        self.tsc = 0.0

    def host(self, bench, *words):
        """The number that the host's program prints."""
        return float(bench.run([bench.program("metal-host"), *map(str, words)])[1])

    def guest(self, bench, options, measures):
        """Runs the guest with the measurements: the words of each line of its output."""
        _, out, _ = bench.run_cordon("run", "--cold", "--memory", "128M", "--kernel", bench.program("metal.elf"), *options,
                                     "--", "metal", *measures)
        lines = out.decode(errors="replace").splitlines()
        if len(lines) != len(measures):
            raise NotMeasured("the guest printed no figures")
        return [line.split() for line in lines]

    def prepare(self, bench):
        """The clock, and an image all of which is in the page cache."""
        self.tsc = self.host(bench, "tsc")
        with open(self.image, "wb") as image:
            for _ in range(self.disk // MIB):
                image.write(os.urandom(MIB))

    def finish(self, _bench):
        os.unlink(self.image)

    def disks(self, bench):
        """A sample of each row of a disk, from guest and host."""
        measures = [f"blk,{int(operation != 'read')},{operation},{pattern},{size},{depth},{self.disk},"
                    f"{int(self.tsc * self.seconds)}" for _, operation, pattern, size, depth, _ in DISKS]
        # At first the scratch disk is written, since new blocks cost the host's file system more.
        fill = f"blk,1,write,sequential,{MIB},32,{self.disk},{int(self.tsc * 2 * self.seconds)}"
        options = ["--rootfs", self.image + ":ext4", "--disk", str(self.disk)]
        found = {}
        for (name, _, _, size, _, unit), words in zip(DISKS, self.guest(bench, options, [fill, *measures])[1:]):
            found[f"throughput.blk.metal.{name}"] = rate(int(words[0]) * self.tsc / int(words[1]), size, unit)
        for name, operation, pattern, size, depth, unit in DISKS:
            # Where the monitor makes its scratch disks.
            path = self.image if operation == "read" else bench.environment["TMPDIR"]
            done = self.host(bench, "file", operation, pattern, size, depth, self.disk, self.seconds, path)
            found[f"throughput.blk.metal.{name}.host"] = rate(done, size, unit)
        return found

    def socket(self, bench, name, direction, chunk, total, unit):
        """A sample of a row of a socket, from guest and host."""
        total = max(int(total * self.seconds), chunk) // chunk * chunk
        path = bench.path("metal-vsock")
        server = bench.start([bench.program("metal-host"), "serve", direction, str(chunk), str(total), f"{path}_{PORT}"],
                             stdout=-1)
        try:
            server.stdout.readline()        # it listens
            fields = [direction, PORT, chunk, total] if direction == "send" else [direction, PORT, total]
            self.guest(bench, ["--vsock", path], [",".join(map(str, fields))])
            seconds = float(server.communicate(timeout=60)[0])
        finally:
            bench.stop(server)
        host = self.host(bench, "pair", direction, chunk, total)
        name = f"throughput.vsock.metal.{name}"
        return {name: rate(total / chunk / seconds, chunk, unit), name + ".host": rate(total / chunk / host, chunk, unit)}

    def prepare_network(self, bench):
        self.tsc = self.host(bench, "tsc")

    def network(self, bench):
        """A sample of each row of the network card, and of datagrams on the host."""
        found = {}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
            sink.bind(("127.0.0.1", 0))
            port = sink.getsockname()[1]
            measures = [f"net,{kind}," + (f"{port},{size}," if kind == "udp" else "") + f"{depth},{int(self.tsc * self.seconds)}"
                        for _, _, kind, size, depth, _ in FRAMES]
            lines = self.guest(bench, ["--allow-net", f"udp/host:{port}"], measures)
            for (name, _, kind, size, _, unit), words in zip(FRAMES, lines):
                found[f"throughput.net.metal.{name}"] = rate(int(words[0]) * self.tsc / int(words[1]), size, unit)
                if kind == "udp":
                    found[f"throughput.net.metal.{name}.host"] = self.host(bench, "udp", port, size, self.seconds)
        return found


def frame_rows():
    rows = []
    for name, title, kind, _, _, unit in FRAMES:
        if kind == "udp":
            rows += figures.twin(f"throughput.net.metal.{name}", title, unit, "from one process")
        else:
            rows.append(Row(f"throughput.net.metal.{name}", title, unit, "less" if unit == "us" else "more"))
    return rows


def groups(bench, _options):
    metal = Metal(bench)
    rounds = 2 if bench.quick else 5
    disks = [row for name, operation, pattern, size, depth, unit in DISKS
             for row in figures.twin(f"throughput.blk.metal.{name}", disk_title(operation, pattern, size, depth), unit,
                                     host_of(operation))]
    sockets = [Probe(figures.twin(f"throughput.vsock.metal.{name}", title, unit, "socket pair"),
                     lambda b, fields=(name, direction, chunk, total, unit): metal.socket(b, *fields), rounds)
               for name, title, direction, chunk, total, unit in SOCKETS]
    return [
        Group("throughput", "metal-disks", "Disks, from a guest without Linux",
              [Probe(disks, metal.disks, rounds, prepare=metal.prepare, finish=metal.finish)],
              seconds=2.5 * len(DISKS) * metal.seconds * rounds + 1.5, plot="ratios",
              note="Such a guest drives the device itself and polls: the rows show the device, not a guest's kernel. Its reads "
                   f"are of an image of {metal.disk // MIB} MiB in the host's page cache, its writes go to a scratch disk."),
        Group("throughput", "metal-sockets", "Streams (vsock), from a guest without Linux", sockets,
              seconds=len(SOCKETS) * rounds * (0.2 + 2 * metal.seconds), plot="ratios"),
        Group("throughput", "metal-network", "Network card, from a guest without Linux",
              [Probe(frame_rows(), metal.network, rounds, prepare=metal.prepare_network)],
              seconds=rounds * (0.2 + 1.7 * len(FRAMES) * metal.seconds) + 0.3, plot="ratios",
              note="Frames through the card to the relay, which answers ARP requests, and sends datagrams to a socket of the "
                   "host.")]
