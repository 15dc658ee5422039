#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cost of the host's programs in a sandbox: bench/rootfs/run.py [--runs N].

Times `python3 -c pass` as a plain process, and in sandboxes with --rootfs host: the first time, when every file
comes through the file server, and again, from the guest's own cache. For the first time it also prints the
processor time of the server's thread and of the event loop: on hosts that emulate ring 0 nearly all the rest is
the guest's kernel. Processor times come from /proc, in units of the kernel's clock tick.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import CORDON, exec_to_exit, load, row, spread  # noqa: E402  (found by the path above)

TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
COMMAND = ["/usr/bin/python3", "-c", "pass"]


def cordon(*args):
    """Runs cordon; returns (milliseconds, standard output)."""
    start = time.monotonic_ns()
    done = subprocess.run([CORDON, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"cordon {' '.join(args)}: status {done.returncode}: {done.stderr.decode()}")
    return (time.monotonic_ns() - start) / 1e6, done.stdout


def threads(pid):
    """Processor time of a process's threads so far, in milliseconds: {"files": ..., "main": ..., "rest": ...}"""
    used = {"files": 0.0, "main": 0.0, "rest": 0.0}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8") as stat:
            name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
        fields = rest.split()
        kind = name if name == "files" else "main" if int(task) == pid else "rest"
        used[kind] += (int(fields[11]) + int(fields[12])) * TICK_MS
    return used


def one(runs):
    """Measures in one sandbox: the first run, the processor time of its threads meanwhile, later runs."""
    cordon("start", "--rootfs", "host", "bench")
    try:
        pid = next(box["pid"] for box in json.loads(cordon("ps", "--json")[1]) if box["name"] == "bench")
        before = threads(pid)
        first = cordon("exec", "bench", "--", *COMMAND)[0]
        after = threads(pid)
        again = [cordon("exec", "bench", "--", *COMMAND)[0] for _i in range(runs)]
    finally:
        cordon("kill", "bench")
    return first, {kind: after[kind] - before[kind] for kind in after}, again


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="runs of each command (3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cordon-bench.") as scratch:
        os.environ["XDG_RUNTIME_DIR"] = scratch
        cordon("run", "--", "true")                             # makes the template
        plain = [exec_to_exit(COMMAND) for _i in range(options.runs)]
        start = [cordon("run", "--rootfs", "host", "--", "/bin/true")[0] for _i in range(options.runs)]
        first, used, again = [], [], []
        for _i in range(options.runs):
            result = one(options.runs)
            first.append(result[0])
            used.append(result[1])
            again += result[2]
    row("python3 -c pass, a plain process", spread(plain, "ms"), load())
    row("run --rootfs host -- /bin/true", spread(start, "ms", 0), load())
    row("exec python3 -c pass, --rootfs host, first time", spread(first, "ms", 0), load())
    total = sum(sum(each.values()) for each in used)
    for kind, what in (("files", "the file server's thread"), ("main", "the event loop"), ("rest", "the guest")):
        times = [each[kind] for each in used]
        row(f"  processor time of {what}", spread(times, "ms", 0), f"{100 * sum(times) / total:.2f} %")
    row("exec python3 -c pass, --rootfs host, again", spread(again, "ms", 0), load())


if __name__ == "__main__":
    main()
