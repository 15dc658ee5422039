#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guest kernel instructions of an execution (vfork, a static program, exit, wait), and of an executable mapping (open,
mmap, munmap, close): without exec rules, with rules whose verdict the guest remembers, and with a new name each time, so
that the monitor decides. The difference that rules make to a mapping is the price of one decision: an execution takes so
long that ticks of the guest's clock, which depend on the host's load, make up much of it.

Counts what KVM emulates, so it needs a host that emulates ring 0; with --lab it counts the kernel's instructions in the
lab, where time counts instructions too, and so the load does not matter. Each figure is the difference of two runs.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "bench"), os.path.join(TOP, "tests", "integration"), os.path.join(TOP, "tests")]

import common  # noqa: E402  (needs the path above)

POLICIES = {"no rules": "", "rules": "exec deny /tmp/denied/**\nexec allow /w/** /tmp/**\n",
            "no rules, audit processes": "audit processes\n"}
FEW = 5


def count(directory, policy, how, times, lab):
    file = os.path.join(directory, "policy")
    with open(file, "w", encoding="ascii") as out:
        out.write(f"policy 1\nshare {directory}/top /w ro\nfile read /w/**\n{policy}")
    if lab:
        done = subprocess.run([os.path.join(TOP, "bench", "boot", "run.py"), "--json", "--warm", "--times", "1", "--options",
                               f"--policy {file}", "--command", f"/w/execs {how} {times}"], stdout=subprocess.PIPE, check=True)
        counted = json.loads(done.stdout)
        return counted["instructions"] - counted["programs"]
    report = common.report_of([common.CORDON, "run", "--verbose", "--policy", file, "--", "/w/execs", how, str(times)], 1200)
    if "KVM insn_emulation" not in report:
        sys.exit("no insn_emulation: this host does not emulate ring 0")
    return report["KVM insn_emulation"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="executions counted (50), and ten times as many mappings")
    parser.add_argument("--lab", action="store_true", help="count in the lab")
    parser.add_argument("--only", metavar="WAY", help="map, map-links, same or links")
    options = parser.parse_args()
    try:
        from cordon import program  # noqa: E402
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing}: run it with the Python that has pytest")
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(os.path.join(directory, "top"))
        shutil.copy(program("execs"), os.path.join(directory, "top", "execs"))
        if not options.lab:
            count(directory, "", "same", 0, False)      # makes the template
        for how, what, times in (("map", "mapping", 10 * options.times),
                                 ("map-links", "mapping, a new name each", 10 * options.times),
                                 ("same", "execution", options.times),
                                 ("links", "execution, a new name each", options.times)):
            if options.only not in (None, how):
                continue
            for name, policy in POLICIES.items():
                few, many = (count(directory, policy, how, n, options.lab) for n in (FEW, FEW + times))
                common.row(f"{what}, {name}: instructions", f"{(many - few) / times:,.0f}", f"{times} times")


if __name__ == "__main__":
    main()
