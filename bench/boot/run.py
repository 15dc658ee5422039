#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the guest instructions of a boot: from the kernel's entry to the agent's first instruction.

The guest boots in the lab (docs/lab.md), on a true kvm-amd that QEMU emulates; count.c, a plugin of
that QEMU, counts what the guest executes. With --profile FILE a profile by kernel function is kept.

usage: bench/boot/run.py [--build DIR] [--memory SIZE] [--cpus N] [--profile FILE] [--json]
                         [--cmdline WORDS]
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))


def entry_of(path):
    """The entry address in an ELF file's header."""
    with open(path, "rb") as f:
        header = f.read(64)
    if header[:5] != b"\x7fELF\x02":
        sys.exit(f"{path}: not a 64-bit ELF file")
    return struct.unpack_from("<Q", header, 24)[0]


def build_plugin(build):
    """Compiles count.c if it is newer than the plugin."""
    plugin = os.path.join(build, "bench", "count.so")
    source = os.path.join(HERE, "count.c")
    if not os.path.exists(plugin) or os.path.getmtime(plugin) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(plugin), exist_ok=True)
        subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-fPIC",
                        "-fvisibility=hidden", "-shared", "-o", plugin, source], check=True)
    return plugin


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(TOP, "build"))
    parser.add_argument("--memory", default="128M")
    parser.add_argument("--cpus", default="1")
    parser.add_argument("--profile", metavar="FILE", help="self, inclusive, calls, function")
    parser.add_argument("--cmdline", default="", help="appended to the guest's command line")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    build = os.path.abspath(args.build)
    kernel = os.path.realpath(os.path.join(build, "guest", "vmlinux"))
    plugin = build_plugin(build)
    with tempfile.TemporaryDirectory(prefix="cordon-boot.") as tmp:
        result = os.path.join(tmp, "result")
        options = f"file={plugin},entry={entry_of(kernel):x},out={result}"
        system_map = os.path.join(os.path.dirname(kernel), "System.map")
        if args.profile:
            options += f",map={system_map}"
        command = [os.path.join(TOP, "tests", "lab", "run.sh"), "--icount", "--timeout", "900",
                   "--qemu-arg=-plugin", f"--qemu-arg={options}", "--",
                   os.path.join(build, "cordon"), "run", "--cold", "--memory", args.memory,
                   "--cpus", args.cpus]
        if args.cmdline:
            command += ["--cmdline-append", args.cmdline]
        done = subprocess.run(command + ["--", "/bin/true"], stdout=sys.stderr, check=False)
        if done.returncode != 0 or not os.path.exists(result):
            sys.exit(f"bench/boot: no count; the run in the lab ended with {done.returncode}")
        with open(result, encoding="ascii") as f:
            count = int(f.readline().split()[1])
            if args.profile:
                with open(args.profile, "w", encoding="ascii") as out:
                    out.write(f.read())
    if args.json:
        print(json.dumps({"memory": args.memory, "cpus": int(args.cpus), "instructions": count}))
    else:
        print(f"guest instructions from entry to the agent, {args.memory}, {args.cpus} vCPU: "
              f"{count / 1e6:.2f} M")


if __name__ == "__main__":
    main()
