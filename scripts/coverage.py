#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print the covered lines of each directory: coverage.py BUILD, after the tests of a gcc --coverage build."""
import collections
import json
import os
import subprocess
import sys

SHIPPED = r"(vmm|devices|boot|guest-kernel/agent)/"


def main():
    # gcov prints negative counts of returns for calls like vfork(), which gcovr takes for errors. Lines are right.
    report = subprocess.run(["gcovr", "--root", ".", "--filter", SHIPPED, "--json-summary", "-", "-j", "2",
                             "--gcov-ignore-parse-errors", sys.argv[1]], check=True, stdout=subprocess.PIPE).stdout
    sums = collections.defaultdict(lambda: [0, 0])
    for file in json.loads(report)["files"]:
        for name in (os.path.dirname(file["filename"]), "total"):
            sums[name][0] += file["line_covered"]
            sums[name][1] += file["line_total"]
    print("| directory | lines | covered |\n|---|---|---|")
    for name in sorted(sums, key=lambda name: (name == "total", name)):
        covered, lines = sums[name]
        print(f"| `{name}` | {lines} | {100 * covered / max(lines, 1):.0f} % |")
    return 0 if sums else 1


if __name__ == "__main__":
    sys.exit(main())
