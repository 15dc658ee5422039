#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Work on a tree of files in a share: bench/files/project.py [--files N] [--runs N].

Times `git status` and `tar` of the tree as plain processes and in a sandbox, under two policies: one rule, and
1,000 rules of which only the last matches any file. Their difference is the cost of decisions. Also prints the
processor time of the file server's thread and of the event loop (from /proc/PID/task/*/schedstat). On hosts that
emulate ring 0 nearly all the rest is the guest's kernel, and 10,000 files take hours: use --files 100 there.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import CORDON, load, row, spread  # noqa: E402  (found by the path above)

PER_DIRECTORY = 100         # files
COMMANDS = {
    "git status": "git status --porcelain | wc -l",
    "tar": "tar -cf - . | wc -c",
}


def cordon(*args):
    done = subprocess.run([CORDON, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"cordon {' '.join(args)}: status {done.returncode}: {done.stderr.decode()}")
    return done.stdout


def timed(run):
    start = time.monotonic_ns()
    shown = run()
    return (time.monotonic_ns() - start) / 1e6, shown


def make_tree(top, files):
    """Small files under version control, all committed."""
    for number in range(files):
        directory = os.path.join(top, f"d{number // PER_DIRECTORY}")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, f"f{number}"), "w", encoding="ascii") as file:
            file.write(f"{number}\n" * 20)
    git = ("git", "-C", top, "-c", "user.name=bench", "-c", "user.email=b@example.com")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "all")):
        subprocess.run([*git, *command], check=True)


def make_policy(path, top, rules):
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"policy 1\nshare {top} {top}\n")
        for number in range(rules - 1):
            file.write(f"file read {top}/**/rule{number}/**\n")
        file.write(f"file write {top}/**\n")
    return path


def threads(pid):
    """Processor time so far, in milliseconds, of the file server's threads and of the event loop."""
    used = {"files": 0.0, "main": 0.0}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as comm:
            name = comm.read().strip()
        kind = name if name in used else "main" if int(task) == pid else None
        if kind:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as schedstat:
                used[kind] += int(schedstat.read().split()[0]) / 1e6
    return used


def in_sandbox(top, policy, what, expected, runs):
    """Measures in one sandbox, after its cache has been filled with the programs from the host's root."""
    cordon("start", "--rootfs", "host", "-m", "512M", "--policy", policy, "bench")
    try:
        pid = next(box["pid"] for box in json.loads(cordon("ps", "--json")) if box["name"] == "bench")
        cordon("exec", "bench", "--", "sh", "-c", "git --version; tar --version; true | wc -l")
        # The index was written on the host: git reads all files once and updates it for what it sees here.
        cordon("exec", "-w", top, "bench", "--", "git", "status")
        for name, command in COMMANDS.items():
            times, used = [], []
            for _i in range(runs):
                before = threads(pid)
                took, shown = timed(lambda c=command: cordon("exec", "-w", top, "bench", "--", "sh", "-c", c))
                after = threads(pid)
                if shown != expected[name]:
                    sys.exit(f"{name}: {shown!r} in the sandbox, {expected[name]!r} on the host")
                times.append(took)
                used.append({kind: after[kind] - before[kind] for kind in after})
            row(f"{name}, {what}", spread(times, "ms", 0), load())
            for kind, label in (("files", "the file server's thread"), ("main", "the event loop")):
                row(f"  processor time of {label}", spread([each[kind] for each in used], "ms"))
    finally:
        cordon("kill", "bench")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10000, help="number of files in the tree (10000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command (3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cordon-bench.") as scratch:
        os.environ["XDG_RUNTIME_DIR"] = scratch
        top = os.path.join(scratch, "tree")
        make_tree(top, options.files)
        expected = {}
        print(f"{options.files} files")
        for name, command in COMMANDS.items():
            times = []
            for _i in range(options.runs):
                took, expected[name] = timed(lambda c=command: subprocess.run(
                    ["sh", "-c", c], cwd=top, stdout=subprocess.PIPE, check=True).stdout)
                times.append(took)
            row(f"{name}, on the host", spread(times, "ms", 0), load())
        for rules, what in ((1, "in a share, 1 rule"), (1000, "in a share, 1,000 rules")):
            policy = make_policy(os.path.join(scratch, "policy"), top, rules)
            in_sandbox(top, policy, what, expected, options.runs)


if __name__ == "__main__":
    main()
