#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts the guest instructions of a boot: from the kernel's entry to the agent's first instruction.

The guest boots in the lab (docs/lab.md), on a true kvm-amd that QEMU emulates; count.c, a plugin of
that QEMU, counts the instructions. --profile FILE writes a profile by kernel function.

--warm counts what a guest from a template executes in a whole `cordon run -- CMD`, from the restore to
the end, programs included. A host that emulates ring 0 is slow at the kernel's part of these.

--exec counts what a running sandbox executes for a `cordon exec NAME -- CMD` when the guest has cached all that it
reads; with --first the first one. --beside starts a command in the lab before, such as a server.

They count the command several times and tell the least, but for --first: a tick of the guest's clock may fall into a
run.

usage: bench/boot/run.py [--build DIR] [--memory SIZE] [--cpus N] [--profile FILE] [--json]
                         [--cmdline PARAMETERS] [--warm|--exec [--first] [--command CMD] [--options OPTIONS] [--times N]
                         [--beside CMD]]
"""

import argparse
import json
import os
import shlex
import struct
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "bench"))
import common  # noqa: E402  (found by the path above; SIGTERM cleans up)

HERE = os.path.dirname(os.path.abspath(__file__))

MARK = 0x3C0DE000        # no other program in the lab has code there


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


def build_mark(tmp):
    """Builds the program that marks start and end; returns its path. Its code is at MARK."""
    path = os.path.join(tmp, "mark")
    subprocess.run(["gcc", "-nostdlib", "-static", f"-Wl,-Ttext={MARK:#x}", "-o", path,
                    os.path.join(HERE, "mark.S")], check=True)
    return path


def marked(run, mark, times):
    """The command so many times, with a mark before, between and after."""
    return " && ".join([mark] + [f"{run} && {mark}"] * times)


def counted(args, build, tmp):
    """The command for the lab, and the plugin's argument that says where to count."""
    cordon = [os.path.join(build, "cordon"), "run", "--memory", args.memory, "--cpus", args.cpus]
    if args.cmdline:
        cordon += ["--cmdline-append", args.cmdline]
    cordon += shlex.split(args.options)
    if not args.warm and not args.exec:
        kernel = os.path.join(build, "guest", "vmlinux")
        return [*cordon, "--cold", "--", "/bin/true"], f"entry={entry_of(kernel):x}"
    mark = build_mark(tmp)
    if args.exec:
        start = shlex.join([cordon[0], "start", *cordon[2:], "counted"])
        run = shlex.join([cordon[0], "exec", "counted", "--", *shlex.split(args.command)])
        end = shlex.join([cordon[0], "kill", "counted"])
        beside = f"{args.beside} & " if args.beside else ""
        if args.first:
            # Another sandbox runs it before, so that the host has cached the files.
            before = shlex.join([*cordon, "--", *shlex.split(args.command)])
            return ["sh", "-c", f"{beside}{before} && {start} && {marked(run, mark, 1)} && {end}"], f"mark={MARK:x}"
        return ["sh", "-c", f"{beside}{start} && {run} && {run} && {marked(run, mark, args.times)} && {end}"], f"mark={MARK:x}"
    run = shlex.join([*cordon, "--", *shlex.split(args.command)])
    # The first run makes the template, the second fills the page cache.
    return ["sh", "-c", f"{run} && {run} && {marked(run, mark, args.times)}"], f"mark={MARK:x}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=common.BUILD)
    parser.add_argument("--memory", default="128M")
    parser.add_argument("--cpus", default="1")
    parser.add_argument("--profile", metavar="FILE", help="self, inclusive, calls, function")
    parser.add_argument("--cmdline", default="", help="appended to the guest's command line")
    parser.add_argument("--warm", action="store_true", help="a run from a template")
    parser.add_argument("--exec", action="store_true", help="an exec in a running sandbox")
    parser.add_argument("--first", action="store_true", help="with --exec: the first exec of the sandbox")
    parser.add_argument("--command", default="true", help="what --warm and --exec run (true)")
    parser.add_argument("--beside", default="", help="what runs beside --exec in the lab: a server")
    parser.add_argument("--options", default="", help="of the counted `cordon run`")
    parser.add_argument("--times", type=int, default=8, help="how often --warm and --exec run it (8)")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    build = os.path.abspath(args.build)
    kernel = os.path.realpath(os.path.join(build, "guest", "vmlinux"))
    plugin = build_plugin(build)
    with tempfile.TemporaryDirectory(prefix="cordon-boot.") as tmp:
        result = os.path.join(tmp, "result")
        command, where = counted(args, build, tmp)
        options = f"file={plugin},{where},out={result}"
        if args.profile or args.warm or args.exec:
            options += f",map={os.path.join(os.path.dirname(kernel), 'System.map')}"
        command = [os.path.join(TOP, "tests", "lab", "run.sh"), "--icount", "--timeout", "900",
                   "--qemu-arg=-plugin", f"--qemu-arg={options}", "--", *command]
        done = subprocess.run(command, stdout=sys.stderr, check=False)
        if done.returncode != 0 or not os.path.exists(result):
            sys.exit(f"bench/boot: no count; the run in the lab ended with {done.returncode}")
        with open(result, encoding="ascii") as f:
            count = int(f.readline().split()[1])
            programs = int(f.readline().split()[1]) if args.warm or args.exec else 0
            if args.profile:
                with open(args.profile, "w", encoding="ascii") as out:
                    out.write(f.read())
    if args.json:
        print(json.dumps({"memory": args.memory, "cpus": int(args.cpus), "instructions": count,
                          **({"programs": programs} if args.warm or args.exec else {})}))
    elif args.warm or args.exec:
        print(f"guest instructions of {'an exec' if args.exec else 'a warm run'}, {args.memory}, {args.cpus} vCPU: the kernel's "
              f"{(count - programs) / 1e6:.3f} M, its programs' {programs / 1e6:.3f} M")
    else:
        print(f"guest instructions from entry to the agent, {args.memory}, {args.cpus} vCPU: "
              f"{count / 1e6:.2f} M")


if __name__ == "__main__":
    main()
