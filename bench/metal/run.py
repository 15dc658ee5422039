#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures disks and sockets from a guest without Linux, and the same work on the host.

Prints a line of JSON for each sample: {"id": "metal.blk.read-4k-d32", "value": 1.0, "unit": "1/s"}. The id of a row of
the host ends in ".host". Guest and host take turns, so that both see the same load. It needs nothing but the monitor and
the two programs metal.elf and metal-host.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BUILD") or os.path.join(HERE, "..", "..", "build")

MIB = 1 << 20
DISK = 256 * MIB
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

# Of a socket: name, what the guest does, bytes of a write, bytes in all, unit.
SOCKETS = [
    ("to-guest-4k", "receive", 4096, 64 * MIB, "MB/s"),
    ("to-guest-64k", "receive", 65536, 512 * MIB, "MB/s"),
    ("from-guest-4k", "send", 4096, 64 * MIB, "MB/s"),
    ("from-guest-64k", "send", 65536, 512 * MIB, "MB/s"),
    ("round-trip-64", "echo", 64, 64 * 5000, "us"),
]


def emit(name, value, unit):
    """Prints one sample."""
    print(json.dumps({"id": "metal." + name, "value": round(value, 3), "unit": unit}), flush=True)


def rate(per_second, size, unit):
    """Requests a second, in the unit of the row."""
    return {"1/s": per_second, "MB/s": per_second * size / 1e6, "us": 1e6 / max(per_second, 1e-9)}[unit]


class Bench:
    """The programs and the directory of one run."""

    def __init__(self, arguments, directory):
        self.arguments = arguments
        self.directory = directory
        self.image = os.path.join(directory, "image")
        self.tsc = float(self.host("tsc"))

    def host(self, *words):
        """Runs the host's program; returns its output."""
        argv = [os.path.join(self.arguments.programs, "metal-host"), *map(str, words)]
        return subprocess.run(argv, stdout=subprocess.PIPE, check=True, timeout=300).stdout.decode()

    def guest(self, options, measures):
        """Runs the guest with the measurements; returns the words of each line of its output."""
        argv = [self.arguments.cordon, "run", "--cold", "--memory", "128M", "--kernel",
                os.path.join(self.arguments.programs, "metal.elf"), *options, "--", "metal", *measures]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=300, check=False)
        lines = done.stdout.decode(errors="replace").splitlines()
        if done.returncode != 0 or len(lines) != len(measures):
            raise RuntimeError(f"the guest failed (status {done.returncode}): "
                               + "\n".join(lines) + done.stderr.decode(errors="replace"))
        return [line.split() for line in lines]

    def disks(self, rows):
        """One sample of each row of a disk, from guest and host."""
        seconds = self.arguments.seconds
        measures, options = [], []
        if any(row[1] == "read" for row in rows):
            options += ["--rootfs", self.image + ":ext4"]
            if not os.path.exists(self.image):
                make_image(self.image)
        if any(row[1] != "read" for row in rows):
            options += ["--disk", str(DISK)]
        for _, operation, pattern, size, depth, _ in rows:
            measures.append(f"blk,{int(operation != 'read')},{operation},{pattern},{size},{depth},{DISK},"
                            f"{int(self.tsc * seconds)}")
        for (name, _, _, size, _, unit), words in zip(rows, self.guest(options, measures)):
            emit("blk." + name, rate(int(words[0]) * self.tsc / int(words[1]), size, unit), unit)
        for name, operation, pattern, size, depth, unit in rows:
            # Where the monitor makes its scratch disks.
            path = self.image if operation == "read" else os.environ.get("TMPDIR", "/var/tmp")
            done = float(self.host("file", operation, pattern, size, depth, DISK, seconds, path))
            emit("blk." + name + ".host", rate(done, size, unit), unit)

    def socket(self, row):
        """One sample of a row of a socket, from guest and host."""
        name, direction, chunk, total, unit = row
        total = max(int(total * self.arguments.seconds), chunk) // chunk * chunk
        path = os.path.join(self.directory, "vsock")
        peer = f"{path}_{PORT}"
        argv = [os.path.join(self.arguments.programs, "metal-host"), "serve", direction, str(chunk), str(total), peer]
        fields = [direction, PORT, chunk, total] if direction == "send" else [direction, PORT, total]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as server:
            try:
                # The line says that it listens.
                server.stdout.readline()
                self.guest(["--vsock", path], [",".join(map(str, fields))])
                seconds = float(server.communicate(timeout=60)[0])
            finally:
                server.kill()
        emit("vsock." + name, rate(total / chunk / seconds, chunk, unit), unit)
        seconds = float(self.host("pair", direction, chunk, total))
        emit("vsock." + name + ".host", rate(total / chunk / seconds, chunk, unit), unit)


def make_image(path):
    """A file of the disk's size, all of it in the page cache."""
    with open(path, "wb") as image:
        for _ in range(DISK // MIB):
            image.write(os.urandom(MIB))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cordon", default=os.path.join(BUILD, "cordon"), help="the monitor")
    parser.add_argument("--programs", default=os.path.join(BUILD, "bench"),
                        help="directory with metal.elf and metal-host")
    parser.add_argument("--rounds", type=int, default=3, help="samples of each row")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a sample, roughly")
    parser.add_argument("only", nargs="*", help="rows whose names begin so (blk.read, vsock)")
    arguments = parser.parse_args()

    def wanted(rows, prefix):
        return [row for row in rows if not arguments.only or (prefix + row[0]).startswith(tuple(arguments.only))]

    disks, sockets = wanted(DISKS, "blk."), wanted(SOCKETS, "vsock.")
    with tempfile.TemporaryDirectory(prefix="cordon-metal-", dir=os.environ.get("TMPDIR", "/var/tmp")) as directory:
        try:
            bench = Bench(arguments, directory)
            for _ in range(arguments.rounds):
                if disks:
                    bench.disks(disks)
                for row in sockets:
                    bench.socket(row)
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            sys.exit(f"bench/metal: {error}")


if __name__ == "__main__":
    main()
