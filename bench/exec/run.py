#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Guest kernel instructions of an execution (vfork, a static program, exit, wait): without exec rules, with rules
whose verdict the guest remembers, and with a new name each time, so that the monitor decides.

Counts what KVM emulates, so it needs a host that emulates ring 0. Each figure is the difference of two runs.
"""
import argparse
import os
import shutil
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "bench"), os.path.join(TOP, "tests", "integration"), os.path.join(TOP, "tests")]

import common  # noqa: E402  (needs the path above)

POLICIES = {"no rules": "", "rules": "exec deny /tmp/denied/**\nexec allow /w/** /tmp/**\n",
            "no rules, audit processes": "audit processes\n"}
FEW = 5


def count(directory, policy, how, times):
    file = os.path.join(directory, "policy")
    with open(file, "w", encoding="ascii") as out:
        out.write(f"policy 1\nshare {directory}/top /w ro\nfile read /w/**\n{policy}")
    report = common.report_of([common.CORDON, "run", "-v", "--policy", file, "--", "/w/execs", how, str(times)], 1200)
    if "KVM insn_emulation" not in report:
        sys.exit("no insn_emulation: this host does not emulate ring 0")
    return report["KVM insn_emulation"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="executions counted (50)")
    options = parser.parse_args()
    try:
        from cordon import program  # noqa: E402
    except ModuleNotFoundError as missing:
        sys.exit(f"{missing}: run it with the Python that has pytest")
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(os.path.join(directory, "top"))
        shutil.copy(program("execs"), os.path.join(directory, "top", "execs"))
        count(directory, "", "same", 0)                 # makes the template
        for how, what in (("same", "one name"), ("links", "a new name each")):
            for name, policy in POLICIES.items():
                few, many = (count(directory, policy, how, times) for times in (FEW, FEW + options.times))
                common.row(f"execution, {what}, {name}: instructions", f"{(many - few) / options.times:,.0f}",
                           f"{options.times} times")


if __name__ == "__main__":
    main()
