# SPDX-License-Identifier: Apache-2.0
"""Shared by the benchmarks: paths, timing of programs, output of figures."""

import os
import re
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(TOP, "build"))
CORDON = os.path.join(BUILD, "cordon")



def end(*_):
    """On SIGTERM (a timeout), exit through the clean-up of the benchmark."""
    # timeout(1) sends a second SIGTERM, which must not interrupt the clean-up.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


signal.signal(signal.SIGTERM, end)

# A line of the time line of `cordon run --verbose`: ms since the start, ms since the previous mark, mark.
MARK = re.compile(r"^cordon: +([0-9.]+) ms +\+ *[0-9.]+ ms +(.+)$")


def row(what, value, condition=""):
    """Prints one row of the table: what was measured, the figure, the conditions."""
    print(f"{what:<50} {value:>22}  {condition}".rstrip(), flush=True)


def load():
    """The load average of the last minute, for the conditions of a figure."""
    return "load " + f"{os.getloadavg()[0]:.1f}"


def spread(values, unit, digits=1):
    """Median, then the smallest and the largest value."""
    values = sorted(values)
    middle, low, high = values[len(values) // 2], values[0], values[-1]
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f}) {unit}"


def exec_to_exit(argv):
    """Milliseconds from just before the program starts until its exit has been reaped."""
    null = os.open("/dev/null", os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
    start = time.monotonic_ns()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    end = time.monotonic_ns()
    os.close(null)
    if status != 0:
        sys.exit(f"{' '.join(argv)}: ended with status {os.waitstatus_to_exitcode(status)}")
    return (end - start) / 1e6


def report_of(argv, timeout=600):
    """Runs `cordon run --verbose ...`; returns its report as {mark or counter: number}, times in milliseconds."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, timeout=timeout, check=False)
    text = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        sys.exit(f"{' '.join(argv)}: ended with status {done.returncode}\n{text}")
    report = {}
    for line in text.splitlines():
        mark = MARK.match(line)
        words = line.split()
        if mark:
            report[mark[2]] = float(mark[1])
        elif words[1:2] == ["KVM"] and words[-1].isdigit():
            report[" ".join(words[1:-1])] = int(words[-1])
    return report
