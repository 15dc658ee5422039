#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the unit tests with a fault at each call: run.py [--build DIR] [--most N] [--kind KIND] [PROGRAM...].

For each program below DIR/fault and each kind of fault (fault.h) the first, second, ... call fails, up to the last one that
any of its tests makes; with --most N only so many of them, spread over all: the first ones, then ever fewer.
Where no memory, no descriptor or no room is left a test may fail, for it tests something else, and even crash or wait in
its own code; but the code under test may not crash, hang, leave by exit() or be reported by a sanitizer. After EINTR, and
after a part of what was asked for, each test must pass.

Prints `ok fault.PROGRAM.KIND` or `not ok ...` with the calls that failed, and ends with a line that counts them.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
KINDS = ("alloc", "fd", "disk", "eintr", "short")
MAY_FAIL = ("alloc", "fd", "disk")
COUNTS_CALLS = {"test_blk_cached"}      # asserts how many reads there are
TEST_HANG_SECONDS = 20
PROGRAM_HANG_SECONDS = 300
# check(3)'s line for a test that did not end by itself, and for one whose assertion failed.
BROKEN = re.compile(r"^\S+:\d+:E:.*$", re.M)
FAILED = re.compile(r"^\S+:\d+:F:.*$", re.M)
# Of the C library and the sanitizers.
CORRUPT = re.compile(r"^(\*\*\* .* detected|(free|malloc|realloc|calloc|munmap_chunk|double free).*\(\)?: .*|.*Sanitizer.*|.*: runtime error: .*)$", re.M)
WHERE = re.compile(r"^fault: (crash|hang) at(( 0x[0-9a-f]+)*)$", re.M)
SUM = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.M)


def calls_to_fail(count, most):
    """Numbers from 1 to count: all, or `most` of them, the first ones closest to each other."""
    if count <= most:
        return list(range(1, count + 1))
    chosen = {round(count ** (i / (most - 1))) for i in range(most)} if most > 1 else {1}
    return sorted(chosen)


def run(path, kind, number, count_file):
    """Returns (output, largest number of calls in a test)."""
    with open(count_file, "wb") as zero:
        zero.write(bytes(4))
    process = subprocess.Popen([path], cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               start_new_session=True,
                               env=dict(os.environ, CORDON_FAULT=kind, CORDON_FAULT_AT=str(number),
                                        CORDON_FAULT_COUNT=count_file, CK_VERBOSITY="normal",
                                        CK_DEFAULT_TIMEOUT=str(TEST_HANG_SECONDS)))
    try:
        output = process.communicate(timeout=PROGRAM_HANG_SECONDS)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output = process.communicate()[0] + b"\n" + path.encode() + b":0:E: the program hangs"
    with open(count_file, "rb") as count:
        calls = struct.unpack("=I", count.read(4))[0]
    return output.decode("utf-8", "replace"), calls


def places(path, output):
    """Where the code under test crashed or hung, a line each; what the tests themselves did is left out."""
    found = []
    for what, addresses in ((match.group(1), match.group(2).split()) for match in WHERE.finditer(output)):
        lines = subprocess.run(["addr2line", "-f", "-e", path, *addresses], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.split("\n") if addresses else []
        frames = [(lines[2 * i], lines[2 * i + 1].replace(TOP + "/", "")) for i in range(len(addresses))]
        frames = [(name, file) for name, file in frames if not file.startswith("tests/fault/") and name != "__restore_rt"]
        if not frames or frames[0][1].startswith(("tests/", "?")):
            continue
        # A loop waits for what a test has asked it to wait for.
        if what == "hang" and frames[0][1].startswith("vmm/base/loop.c"):
            continue
        found.append(f"{what} in " + " < ".join(f"{name} {file}" for name, file in frames[:4]))
    return found


def problems_of(path, kind, output):
    """What is wrong, a line each, with a program that ran with a fault."""
    if not SUM.search(output):
        return [output[-500:]]
    broken, failed = BROKEN.findall(output), FAILED.findall(output)
    if kind not in MAY_FAIL:
        return broken + (failed if os.path.basename(path) not in COUNTS_CALLS else [])
    wrong = [match.group(0) for match in CORRUPT.finditer(output)] + places(path, output)
    wrong += [line for line in broken if "Early exit" in line]
    return wrong


def faults_of(path, kind, most):
    """Returns (numbers tried, calls, problems as text) for a program and a kind."""
    problems = []
    with tempfile.TemporaryDirectory(prefix="cordon-fault.") as scratch:
        count_file = os.path.join(scratch, "count")
        output, calls = run(path, kind, 0, count_file)
        if not SUM.search(output) or SUM.search(output).groups()[1:] != ("0", "0"):
            return 0, calls, ["without a fault: " + output[-2000:]]
        numbers = calls_to_fail(calls, most)
        for number in numbers:
            output, _calls = run(path, kind, number, count_file)
            problems += [f"call {number} of {calls}: {line}" for line in problems_of(path, kind, output)]
    return len(numbers), calls, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--most", type=int, default=1 << 30)
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("program", nargs="*")
    args = parser.parse_args()
    names = args.program or sorted(os.path.basename(path)[:-2] for path in glob.glob(os.path.join(TOP, "tests/unit/test_*.c")))
    work = [(name, kind) for name in names for kind in args.kind or KINDS]
    passed = failed = tried = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        results = pool.map(lambda item: faults_of(os.path.join(TOP, args.build, "fault", item[0]), item[1], args.most), work)
        for (name, kind), (numbers, calls, problems) in zip(work, results):
            tried += numbers
            if problems:
                failed += 1
                print(f"not ok fault.{name}.{kind}", flush=True)
                print("    " + "\n".join(problems[:20]).replace("\n", "\n    "), flush=True)
            elif calls:
                passed += 1
                print(f"ok fault.{name}.{kind}: {numbers} of {calls} calls", flush=True)
    print(f"{tried} runs with a fault")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
