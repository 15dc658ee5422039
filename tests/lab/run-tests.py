#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the integration tests in the lab: run-tests.py [-k TEXT] [--timeout SECONDS] [GROUP...].

Each test file is a group with an emulated machine of its own (L1, docs/lab.md), so that a machine that dies
takes no other group along. A group whose machine dies, as opposed to a test that fails, starts again, up to
TRIES times. If it never finishes, it counts as one skipped test, a line `N not run: NAMES` before the last one
names it, and `run-all.py --strict` fails. GROUP is the name of a file without `test_` and `.py`; all by default,
or those in LAB_GROUPS. kvmcheck, the proof that the lab's /dev/kvm is a true one, is the first group.

The build must be there already.
"""
import argparse
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))

from closing import Sum     # noqa: E402  (found by the path above)

TRIES = 3
TIMED_OUT = 124
MACHINE_DIED = "lab: L1 ended without a status"         # what lab.py says then
KVMCHECK = "kvmcheck"


def collect(options):
    """Names of the groups that have tests: collected outside the lab, which also builds their helpers."""
    pytest = shutil.which("pytest") or shutil.which("pytest-3")
    if not pytest:
        sys.exit("lab: pytest, pytest-xdist and pytest-timeout are needed")
    listed = subprocess.run([pytest, "tests/integration", "--collect-only", *options], cwd=TOP,
                            stdout=subprocess.PIPE, text=True)
    files = [line.split("::")[0] for line in listed.stdout.splitlines() if "::" in line]
    return list(dict.fromkeys(os.path.basename(file)[len("test_"):-len(".py")] for file in files))


def command_of(group, options):
    if group == KVMCHECK:
        return ["build/tests/lab/kvmcheck", "2"]
    return ["pytest", f"tests/integration/test_{group}.py", *options]


def run_machine(machine, command, timeout):
    """Run a command in a new machine. Returns (exit status, the sum of its closing lines or None, whether the
    machine died)."""
    process = subprocess.Popen([machine, "--mem", "6G", "--timeout", str(timeout), "--", *command], cwd=TOP,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace")
    found, closed, died = Sum(), False, False
    for line in process.stdout:
        line = line.rstrip("\n")
        died = died or line.startswith(MACHINE_DIED)
        if found.take(line):
            closed = closed or line.endswith(" skipped")
        else:
            print(line, flush=True)
    return process.wait(), found if closed else None, died


def run_group(group, machine, options, timeout, total):
    name = f"lab.{group}"
    for number in range(1, TRIES + 1):
        status, found, died = run_machine(machine, command_of(group, options), timeout)
        if not died:
            break
        print(f"lab: {group}: the machine died (try {number} of {TRIES})", flush=True)
    else:
        print(f"skip {name}: not run, the machine died {TRIES} times", flush=True)
        total.add(skipped=1)
        total.names["not run"].append(name)
        return
    if found:
        total.merge(found)
    if status == 0 and (found or group == KVMCHECK):
        print(f"ok {name}: finished", flush=True)
        total.add(passed=group == KVMCHECK)
    elif not found or not found.failed:
        why = "time limit reached" if status == TIMED_OUT else f"ended with {status}"
        print(f"not ok {name}: {why}", flush=True)
        total.add(failed=1)


def run_groups(groups, machine, options, timeout):
    """Run groups, each in a machine that the program `machine` starts; print the sum and return the exit status."""
    total = Sum()
    for group in groups:
        run_group(group, machine, options, timeout, total)
    print(total, flush=True)
    return total.status(strict=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", metavar="TEXT", help="only tests with TEXT in their names (pytest's -k)")
    parser.add_argument("--timeout", type=float, default=float(os.environ.get("LAB_TIMEOUT", "3600")),
                        help="seconds a group (3600, or LAB_TIMEOUT)")
    parser.add_argument("group", nargs="*")
    args = parser.parse_args()
    if not os.access(os.path.join(TOP, "build", "cordon"), os.X_OK):
        sys.exit("lab: build/cordon is missing: run make first")
    os.makedirs(os.path.join(TOP, "build", "tests", "lab"), exist_ok=True)
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-Wall", "-Wextra", "-O2", "-o",
                    os.path.join(TOP, "build", "tests", "lab", KVMCHECK),
                    os.path.join(HERE, "kvmcheck.c"), "-lpthread"], check=True)
    options = ["-k", args.k] if args.k else []
    there = collect(options)
    wanted = args.group or os.environ.get("LAB_GROUPS", "").split() or [KVMCHECK, *there]
    unknown = set(wanted) - {KVMCHECK, *there}
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}: there are {', '.join([KVMCHECK, *there])}")
    return run_groups(wanted, os.path.join(HERE, "run.sh"), options, args.timeout)


if __name__ == "__main__":
    sys.exit(main())
