# SPDX-License-Identifier: Apache-2.0
"""Run the bad tests of bad/ in a pytest of their own and read its report."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BAD = os.path.join(HERE, "bad", "bad_leaks.py")
NAME = "harness/bad.bad_leaks."
SLEEP = f"1000.{os.getpid()}"
ENV = {**{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
       "CORDON_TEST_SCALE": "0.1",       # a leak shows after one second
       "BAD_TESTS_SLEEP": SLEEP}


def command(*names, workers=2):
    tests = [f"{BAD}::test_{name}" for name in names] or [BAD]
    return [sys.executable, "-m", "pytest", f"--numprocesses={workers}", *tests]


def run_bad(*names, workers=2, env=None):
    """Run the named tests (all without names). Returns (exit status, lines of the report)."""
    done = subprocess.run(command(*names, workers=workers), cwd=HERE, env={**ENV, **(env or {})},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, list(filter(None, done.stdout.splitlines()))


def verdicts(lines):
    """{name: (verdict, text)} of a report's lines."""
    found, name = {}, None
    for line in lines:
        for verdict in ("ok", "not ok", "skip"):
            if line.startswith(f"{verdict} {NAME}"):
                name = line.removeprefix(f"{verdict} {NAME}").split()[0]
                found[name] = (verdict, line)
        if line.startswith("    ") and name:
            found[name] = (found[name][0], found[name][1] + "\n" + line)
    return found


def left_processes():
    """Command lines of all processes that bad tests have left."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                line = cmdline.read().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if SLEEP in line:
            found.append(line)
    return found
