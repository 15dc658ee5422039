#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cost of a warm start, a restore, a fork and an exec: bench/warm/run.py [--runs N] [--json] [PART...].

Parts (all if none is named):
  warm      `cordon run -- true` from a template against --cold, with the time line of the warm runs
  restore   `cordon restore` by memory size, 128 MiB to 2 GiB
  sandboxes private memory of 20 sandboxes from one template
  fork      a fork of 20: total time, private memory of each
  exec      `cordon exec NAME -- true`, round trip

Uses cache and runtime directories of its own, which it removes. On a host that emulates ring 0 a cold boot
takes many seconds, so --cold-runs defaults to 2 there.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "bench"))
import common  # noqa: E402, F401  (found by the path above; SIGTERM cleans up)

PROGRAM = os.environ.get("CORDON", os.path.join(TOP, "build", "cordon"))
STEP = re.compile(r"^cordon: +[\d.]+ ms +\+ +([\d.]+) ms +(.*)$", re.M)


def cordon(*args, check=True):
    """Runs cordon; returns (seconds from exec to exit, stderr, stdout)."""
    start = time.perf_counter()
    done = subprocess.run([PROGRAM, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    seconds = time.perf_counter() - start
    if check and done.returncode != 0:
        sys.exit(f"cordon {' '.join(args)}: status {done.returncode}: {done.stderr}")
    return seconds, done.stderr, done.stdout


def summary(samples):
    ordered = sorted(samples)
    return {"runs": len(ordered), "min_ms": round(ordered[0] * 1e3, 1),
            "median_ms": round(statistics.median(ordered) * 1e3, 1),
            "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3, 1)}


def stats(name):
    return json.loads(cordon("stats", "--json", name)[2])


def warm(options):
    cordon("run", "--", "true")                         # makes the template
    cold = [cordon("run", "--cold", "--", "true")[0] for _i in range(options.cold_runs)]
    samples, steps = [], {}
    for _i in range(options.runs):
        samples.append(cordon("run", "--", "true")[0])
    for _i in range(min(options.runs, 10)):
        for step, what in STEP.findall(cordon("run", "-v", "--", "true")[1]):
            steps.setdefault(what, []).append(float(step))
    result = {"warm": summary(samples), "cold": summary(cold),
              "steps_median_ms": {k: round(statistics.median(v), 2) for k, v in steps.items()}}
    result["ratio"] = round(result["cold"]["median_ms"] / result["warm"]["median_ms"], 1)
    return result


def restore(options):
    result = {}
    for size in (128, 512, 1024, 2048):
        cordon("start", "--memory", f"{size}M", "bench")
        file = os.path.join(options.directory, "snapshot")
        saved = cordon("snapshot", "bench", file)[0]
        cordon("kill", "bench")
        samples = []
        for _i in range(max(3, options.runs // 3)):
            samples.append(cordon("restore", file, "bench")[0])
            cordon("kill", "bench")
        result[f"{size}M"] = dict(summary(samples), snapshot_ms=round(saved * 1e3, 1),
                                  file_mib=round(os.stat(file).st_blocks / 2048, 1))
        os.unlink(file)
        cordon("template", "prune")
    return result


def memory_of(names):
    values = [stats(name) for name in names]
    return {"private_mib_median": round(statistics.median(v["private_kib"] for v in values) / 1024, 1),
            "private_mib_max": round(max(v["private_kib"] for v in values) / 1024, 1),
            "proportional_mib_median":
                round(statistics.median(v["proportional_kib"] for v in values) / 1024, 1)}


def sandboxes(options):
    cordon("run", "--", "true")
    names = [f"bench{i}" for i in range(options.count)]
    samples = [cordon("start", name)[0] for name in names]
    result = dict(summary(samples), **memory_of(names))
    for name in names:
        cordon("kill", name)
    return result


def fork(options):
    cordon("start", "bench")
    total = cordon("fork", "bench", str(options.count))[0]
    names = [f"bench-{i + 1}" for i in range(options.count)]
    result = {"total_ms": round(total * 1e3, 1), "each_ms": round(total * 1e3 / options.count, 1),
              **memory_of(names)}
    for name in ["bench", *names]:
        cordon("kill", name)
    return result


def execute(options):
    """Times the round trip of exec, and of stats: the share of the client's process and connection."""
    cordon("start", "bench")
    cordon("exec", "bench", "--", "true")
    samples = [cordon("exec", "bench", "--", "true")[0] for _i in range(options.runs * 3)]
    requests = [cordon("stats", "bench")[0] for _i in range(options.runs)]
    cordon("kill", "bench")
    return {"exec": summary(samples), "a request to the monitor": summary(requests)}


PARTS = {"warm": warm, "restore": restore, "sandboxes": sandboxes, "fork": fork, "exec": execute}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=30, metavar="N")
    parser.add_argument("--cold-runs", type=int, metavar="N")
    parser.add_argument("--count", type=int, default=20, metavar="N", help="sandboxes (20)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("part", nargs="*", help=", ".join(PARTS))
    options = parser.parse_args()
    with open("/proc/cpuinfo") as cpuinfo:
        hardware = re.search(r"\b(vmx|svm)\b", cpuinfo.read()) is not None
    if options.cold_runs is None:
        options.cold_runs = options.runs if hardware else 2
    for part in options.part:
        if part not in PARTS:
            parser.error(f"unknown part {part}: one of {', '.join(PARTS)}")
    options.directory = tempfile.mkdtemp(prefix="cordon-bench.")
    for name, sub in (("XDG_CACHE_HOME", "cache"), ("XDG_RUNTIME_DIR", "run")):
        os.environ[name] = os.path.join(options.directory, sub)
        os.mkdir(os.environ[name], 0o700)
    try:
        result = {"host": {"hardware_kvm": hardware, "processors": os.cpu_count(),
                           "load": os.getloadavg()[0]}}
        for name in options.part or PARTS:
            result[name] = PARTS[name](options)
            if not options.json:
                print(name, json.dumps(result[name], indent=2), flush=True)
        if options.json:
            print(json.dumps(result, indent=2))
    finally:
        for entry in json.loads(cordon("ps", "--json", check=False)[2] or "[]"):
            cordon("kill", entry["name"], check=False)
        shutil.rmtree(options.directory, ignore_errors=True)


if __name__ == "__main__":
    main()
