#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times `cordon run -- /bin/true`, cold and from a template, and counts the KVM exits of a boot.

Uses a cache of its own, so that there is no template at the first run.

usage: bench/start/run.py [--cold N] [--warm N] [--timeline]
"""

import argparse
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import common  # noqa: E402  (found by the path above)

WHERE = "lab" if os.environ.get("CORDON_LAB") else "host"


def print_timeline(report):
    """The marks of one run, as -v shows them."""
    for mark, at in report.items():
        if not mark.startswith("KVM"):
            common.row(f"    {mark}", f"{at:.1f} ms")


def measure(what, options, count, timeline):
    """Runs count times; prints exec to exit, boot to agent, exits."""
    command = [common.CORDON, "run", *options, "--", "/bin/true"]
    condition = f"{count} runs, {common.load()}"
    if WHERE == "host":
        times = [common.exec_to_exit(command) for _ in range(count)]
        common.row(f"{what}: exec to exit", common.spread(times, "ms", 0), condition)
    reports = [common.report_of(command[:2] + ["-v"] + command[2:]) for _ in range(count)]
    if WHERE == "lab":
        common.row(f"{what}: start to command's end",
                   common.spread([r["command ended"] for r in reports], "ms", 0), condition)
    common.row(f"{what}: vCPU start to agent",
               common.spread([r["agent connected"] - r["vCPUs running"] for r in reports], "ms",
                             0), condition)
    for counter in ("KVM exits", "KVM insn_emulation"):
        if all(counter in r for r in reports):
            common.row(f"{what}: {counter}",
                       common.spread([r[counter] for r in reports], "", 0), condition)
    if timeline:
        print_timeline(reports[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cold", type=int, default=3)
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--timeline", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cordon-bench.") as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        if args.cold:
            measure(f"cold, {WHERE}", ["--cold"], args.cold, args.timeline)
        if args.warm:
            common.report_of([common.CORDON, "run", "-v", "--", "/bin/true"])
            measure(f"from a template, {WHERE}", [], args.warm, args.timeline)


if __name__ == "__main__":
    main()
