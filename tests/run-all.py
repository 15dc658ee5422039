#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run test suites and add them up: run-all.py [--build DIR] [--strict] [SUITE...].

run-all.py --threaded: print the names of the programs of suite tsan, which needs the built programs of suite unit.

Suites, in this order (all if none is named):
  unit         build/tests/unit/test_*: check(3) programs, one test case counts as one
  asan         the same from DIR/asan, where they are built with ASan and UBSan
  tsan         those that can start threads, from DIR/tsan, where they are built with TSan
  guest        build/tests/guest/test_*: programs that print `ok NAME`, `not ok NAME` or `skip NAME WHY`
  fuzz         build/tests/fuzz/fuzz_*: a fixed number of inputs each, and every crash ever found
  harness      pytest tests/harness: the isolation of the integration tests and their report find what they must; manual pages;
               the git revision
  integration  pytest tests/integration
  lab          tests/lab/run-tests.py: the integration tests in the lab; only if named

Ends with one line for all of them, `N passed, N failed, N skipped`; exit status 1 if anything failed.
A program that crashes or hangs counts as one more failure. `N flaky: NAMES` may stand before that line: these failed
and then passed alone, and count as passed. `N not run: NAMES` likewise: groups of the lab whose machine kept
dying; each counts as one skipped test. With --strict both make the exit status 1.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from closing import SUM_LINE, Sum
from lock_watch import LockWatch

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
HANG_SECONDS = 900              # for one program; only a hang takes that long
UNIT_HANG_SECONDS = 400         # of unit tests: no such program takes a minute, under the sanitizers neither
UNIT_TEST_HANG_SECONDS = 200    # of one test in it
FUZZ_RUNS = 20000
# These take 8 ms an input, 20 times as long as most. With CORDON_TEST_WHOLE=1 they get FUZZ_RUNS too.
FUZZ_SLOW_RUNS = {"fuzz_fs": 4000, "fuzz_fuse": 4000, "fuzz_vsock": 4000, "fuzz_relay_tcp": 4000}
# Slowest first, so that none is left alone at the end; the rest takes seconds.
FUZZ_ORDER = ["fuzz_vsock", "fuzz_fuse", "fuzz_fs", "fuzz_image", "fuzz_net_card", "fuzz_blk", "fuzz_control",
              "fuzz_policy", "fuzz_snapshot", "fuzz_mmio", "fuzz_balloon"]
FAILURE_LINES = 40              # below each `not ok` that --add repeats
JOBS = 2                        # unit and fuzz programs at a time
# These need the processors for themselves.
RACES = {"test_blk_race", "test_fuse_race", "test_guard", "test_vsock_load"}
REPORT = re.compile(r"^(WARNING: ThreadSanitizer|=+\d+=+ *ERROR: \w+Sanitizer|.*: runtime error: )", re.M)
CHECK_LINE = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.M)


def programs(build, kind, prefix):
    """Built test programs that still have a source, by name."""
    found = []
    for source in sorted(glob.glob(os.path.join(HERE, kind, prefix + "*.c"))):
        name = os.path.basename(source)[:-2]
        found.append((name, os.path.join(build, "tests", kind, name)))
    return found


def threaded(build):
    """Names of unit test programs that can start threads: the plain build imports pthread_create()."""
    found = []
    for name, path in programs(build, "unit", "test_"):
        undefined = subprocess.run(["nm", "-u", path], stdout=subprocess.PIPE, check=False, text=True)
        if undefined.returncode != 0 or re.search(r"\bpthread_create\b", undefined.stdout):
            found.append(name)
    return found


def show(text):
    print("    " + text.rstrip()[-20000:].replace("\n", "\n    "), flush=True)


def start(command, env=None, hang=HANG_SECONDS):
    """Run a program in its own process group. Returns (status or None after a hang, output)."""
    process = subprocess.Popen(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True,
                               env=dict(os.environ, **(env or {})))
    try:
        output, _none = process.communicate(timeout=hang)
        status = process.returncode
    except BaseException as reason:
        os.killpg(process.pid, signal.SIGKILL)
        output, _none = process.communicate()
        if not isinstance(reason, subprocess.TimeoutExpired):
            raise
        status = None
    return status, output.decode("utf-8", "replace")


def problem(label, status, output, total):
    """Count one more failure: a program that did not end as it should."""
    end = "hangs" if status is None else f"ended with {status}"
    print(f"not ok {label} {end}", flush=True)
    show(output)
    total.add(failed=1)


def missing(label, path, total):
    """Return True, and count one more failure, if a program was not built."""
    if os.path.exists(path):
        return False
    problem(label, "no program", f"{path} is missing: it was not built", total)
    return True


def start_check(path):
    # check(3) runs each test in a process and kills it after a few seconds. Under the sanitizers or on a loaded
    # machine such a time proves nothing; only a hang counts.
    # A report of TSan is a failure wherever it comes from, even if a test ignores the status of its child.
    with tempfile.TemporaryDirectory(prefix="cordon-unit.") as scratch:
        options = f"halt_on_error=1 log_path={scratch}/report {os.environ.get('TSAN_OPTIONS', '')}"
        status, output = start([path], {"CK_VERBOSITY": "normal", "CK_DEFAULT_TIMEOUT": str(UNIT_TEST_HANG_SECONDS),
                                        "TSAN_OPTIONS": options}, UNIT_HANG_SECONDS)
        for report in sorted(glob.glob(f"{scratch}/report*")):
            with open(report, encoding="utf-8", errors="replace") as text:
                output += text.read()
            status = "a report" if status == 0 else status
    return status, output


def check_failed(status, output):
    sums = CHECK_LINE.findall(output)
    return status != 0 or not sums or any(int(found[1]) + int(found[2]) for found in sums)


def run_check_programs(build, label, total, names=None):
    """Run programs with races alone, the others JOBS at a time. One that fails among others, without a report of a
    sanitizer, runs again, alone."""
    there = [(name, path) for name, path in programs(build, "unit", "test_")
             if (names is None or name in names) and not missing(f"{label}.{name}", path, total)]
    there.sort(key=lambda program: program[0] not in RACES)
    alone = sum(name in RACES for name, _path in there)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = [start_check(path) for _name, path in there[:alone]]
        results += pool.map(start_check, [path for _name, path in there[alone:]])
    for number, ((name, path), (status, output)) in enumerate(zip(there, results)):
        if number >= alone and check_failed(status, output) and not REPORT.search(output):
            again, output_again = start_check(path)
            if not check_failed(again, output_again):
                print(f"flaky {label}.{name}: failed among others, passes alone", flush=True)
                show(output)
                total.names["flaky"].append(f"{label}.{name}")
                status, output = again, output_again
        judge_check(f"{label}.{name}", status, output, total)


def judge_check(name, status, output, total):
    sums = CHECK_LINE.findall(output)
    checks = sum(int(found[0]) for found in sums)
    bad = sum(int(found[1]) + int(found[2]) for found in sums)
    total.add(passed=checks - bad, failed=bad)
    if bad:
        print(f"not ok {name}: {bad} of {checks}", flush=True)
        show(output)
    elif status != 0 or not checks:
        problem(name, status if status != 0 else "no tests", output, total)
    else:
        print(f"ok {name}: {checks}", flush=True)


def run_guest_programs(build, total):
    for name, path in programs(build, "guest", "test_"):
        if missing(f"guest.{name}", path, total):
            continue
        status, output = start([path])
        failed = tests = 0
        for line in output.splitlines():
            for verdict, count in (("ok ", "passed"), ("not ok ", "failed"), ("skip ", "skipped")):
                if line.startswith(verdict):
                    print(f"{verdict}guest.{name[5:]}.{line[len(verdict):]}", flush=True)
                    total.add(**{count: 1})
                    tests += 1
                    failed += count == "failed"
        if failed:
            show(output)
        elif status != 0 or not tests:
            problem(f"guest.{name}", status if status != 0 else "no tests", output, total)


def fuzz_runs(name):
    return FUZZ_RUNS if os.environ.get("CORDON_TEST_WHOLE") else FUZZ_SLOW_RUNS.get(name, FUZZ_RUNS)


def start_fuzz(name, path, corpus):
    with tempfile.TemporaryDirectory(prefix="cordon-fuzz.") as scratch:
        found = os.path.join(scratch, "found")
        os.mkdir(found)
        return start([path, f"-runs={fuzz_runs(name)}", "-seed=1", "-rss_limit_mb=1024", "-timeout=60",
                      "-print_final_stats=0", f"-artifact_prefix={scratch}/", found,
                      *glob.glob(corpus)])


def run_fuzz_programs(build, total):
    there = []
    for name, path in programs(build, "fuzz", "fuzz_"):
        corpus = os.path.join(HERE, "fuzz", "corpus", name)
        if missing(f"fuzz.{name}", path, total):
            continue
        if not glob.glob(os.path.join(corpus, "*")):
            problem(f"fuzz.{name}", "no corpus", f"{corpus} is empty: fuzzing starts from valid input", total)
            continue
        there.append((name, path, corpus))
    there.sort(key=lambda target: FUZZ_ORDER.index(target[0]) if target[0] in FUZZ_ORDER else len(FUZZ_ORDER))
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(lambda target: start_fuzz(*target), there))
    for (name, path, _corpus), (status, output) in zip(there, results):
        crashes = sorted(glob.glob(os.path.join(HERE, "fuzz", "crashes", name, "*")))
        for crash in crashes:
            crash_status, crash_output = start([path, crash])
            if crash_status == 0:
                total.add(passed=1)
            else:
                problem(f"fuzz.{name} {os.path.basename(crash)}", crash_status, crash_output, total)
        if status == 0:
            total.add(passed=1)
            print(f"ok fuzz.{name}: {fuzz_runs(name)} inputs, {len(crashes)} old crashes", flush=True)
        else:
            problem(f"fuzz.{name}", status, output, total)


def run_lines(label, command, total):
    """Run a suite that prints its own lines and closing lines."""
    process = subprocess.Popen(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    before, last = total.failed, ""
    for line in process.stdout:
        last = line.rstrip("\n")
        if not total.take(last):
            print(last, flush=True)
    status = process.wait()
    if not SUM_LINE.match(last) or status != 0 and total.failed == before:
        problem(label, status, last, total)


def run_pytest(directory, total):
    pytest = shutil.which("pytest") or shutil.which("pytest-3")
    if not pytest:
        problem(directory, "no pytest", "pytest, pytest-xdist and pytest-timeout are needed", total)
        return
    run_lines(directory, [pytest, os.path.join("tests", directory)], total)


def run_watched(name, suite, build):
    """Run a suite. Where the sanitizers do not make everything slow, say what held the device lock for long."""
    if name not in ("unit", "guest", "integration"):
        suite()
        return
    with LockWatch(build) as watch:
        suite()
        print("\n".join(watch.lines()), flush=True)


def failures(lines, flaky):
    """Each `not ok` line, with the first lines that stand indented below it: a long log's end then says what failed."""
    found, room = [], 0
    for line in lines:
        if line.startswith("not ok ") and line.split()[2] not in flaky:
            room = FAILURE_LINES
            found.append(line)
        elif line.startswith("    ") and room > 0:
            room -= 1
            found.append(line)
        else:
            room = 0
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", metavar="DIR", help="the output directory (build)")
    parser.add_argument("--strict", action="store_true", help="flaky tests and tests not run are failures")
    parser.add_argument("--threaded", action="store_true", help="run nothing: print the names of suite tsan")
    parser.add_argument("--add", metavar="FILE", help="run nothing: repeat what failed in FILE, and add up its closing lines")
    parser.add_argument("suite", nargs="*", help="unit, asan, tsan, guest, fuzz, harness, integration, lab")
    args = parser.parse_args()
    build = os.path.join(TOP, args.build)
    total = Sum()
    suites = {
        "unit": lambda: run_check_programs(build, "unit", total),
        "asan": lambda: run_check_programs(os.path.join(build, "asan"), "asan", total),
        "tsan": lambda: run_check_programs(os.path.join(build, "tsan"), "tsan", total, threaded(build)),
        "guest": lambda: run_guest_programs(build, total),
        "fuzz": lambda: run_fuzz_programs(build, total),
        "harness": lambda: run_pytest("harness", total),
        "integration": lambda: run_pytest("integration", total),
        "lab": lambda: run_lines("lab", [os.path.join(HERE, "lab", "run-tests.py")], total),
    }
    if args.threaded:
        print("\n".join(threaded(build)))
        return 0
    if args.add:
        with open(args.add, encoding="utf-8", errors="replace") as log:
            lines = log.read().split("\n")
        for line in lines:
            total.take(line)
        print("".join(f"{line}\n" for line in failures(lines, total.names['flaky'])) + str(total), flush=True)
        return total.status(args.strict) or int(total.passed == 0)
    unknown = set(args.suite) - set(suites)
    if unknown:
        parser.error(f"unknown suite {', '.join(sorted(unknown))}: one of {', '.join(suites)}")
    for name, suite in suites.items():
        if name in args.suite or not args.suite and name != "lab":
            begin = time.monotonic()
            run_watched(name, suite, build)
            print(f"== {name}: {time.monotonic() - begin:.0f} s", flush=True)
    print(total, flush=True)
    return total.status(args.strict)


if __name__ == "__main__":
    sys.exit(main())
