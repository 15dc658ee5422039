#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends bytes through `cordon run -- cat`: checks that they come back, how fast, and that memory stays flat.

Samples the monitor's private memory without the guest's RAM meanwhile, as bench/memory does (RssAnon
would count the guest's RAM too).

usage: bench/cat/run.py [--size BYTES, with K, M or G]
"""

import argparse
import hashlib
import os
import subprocess
import sys
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [TOP, os.path.join(TOP, "memory")]
import common  # noqa: E402  (found by the path above)
from run import MEMORY, find_ram, read_smaps  # noqa: E402

BLOCK = 1 << 16
SAMPLES = 20


def parse_size(text):
    """1K, 1M, 1G: powers of 1024."""
    factor = {"K": 10, "M": 20, "G": 30}.get(text[-1:].upper())
    return int(text[:-1]) << factor if factor else int(text)


def feed(pipe, size, digest):
    """Bytes that differ from block to block."""
    for number in range(0, size, BLOCK):
        block = (hashlib.sha256(number.to_bytes(8, "little")).digest() * (BLOCK // 32))
        block = block[:min(BLOCK, size - number)]
        digest.update(block)
        pipe.write(block)
    pipe.close()


def private_kib(pid):
    """The monitor's private memory, without the guest's RAM."""
    mappings = read_smaps(pid)
    first, last = find_ram(mappings)
    return sum(m[2] for m in mappings[:first] + mappings[last:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=parse_size, default="16M")
    args = parser.parse_args()
    sent, received, samples, got = hashlib.sha256(), hashlib.sha256(), [], 0
    command = [common.CORDON, "run", "--memory", f"{MEMORY >> 20}M", "--", "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sandbox:
        feeder = threading.Thread(target=feed, args=(sandbox.stdin, args.size, sent))
        feeder.start()
        first = None
        while block := sandbox.stdout.read1(BLOCK):
            first = first or time.monotonic()
            received.update(block)
            got += len(block)
            if got * SAMPLES >= args.size * (len(samples) + 1) and got < args.size:
                samples.append(private_kib(sandbox.pid))
        seconds = time.monotonic() - first
        feeder.join()
    if sandbox.returncode != 0 or received.digest() != sent.digest():
        sys.exit(f"bench/cat: {got} of {args.size} bytes came back, or wrong ones; "
                 f"status {sandbox.returncode}")
    size = f"{args.size / (1 << 20):.0f} MiB"
    common.row(f"{size} through cat, there and back", f"{got / seconds / 1e6:.2f} MB/s",
               f"{seconds:.0f} s, {common.load()}")
    if samples:
        common.row(f"{size} through cat: monitor's private memory",
                   f"{samples[0]} to {samples[-1]} KiB",
                   f"first and last sample; largest {max(samples)} of {len(samples)}")


if __name__ == "__main__":
    main()
