#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows the private memory of a monitor with an idle guest, without the guest's RAM.

The guest's RAM is the group of adjacent mappings in /proc/PID/smaps whose total size is that of
--memory; all other private memory is the monitor's.

usage: bench/memory/run.py [--cold]
"""

import argparse
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import common  # noqa: E402  (found by the path above)

MEMORY = 96 << 20  # nothing else is as large
HEAD = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ")


def read_smaps(pid):
    """A list for each mapping: start, end, private KiB, dirty KiB of these."""
    mappings = []
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as smaps:
        for line in smaps:
            head = HEAD.match(line)
            fields = line.split()
            if head:
                mappings.append([int(head[1], 16), int(head[2], 16), 0, 0])
            elif fields[0] in ("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:"):
                mappings[-1][2] += int(fields[1])
                mappings[-1][3] += int(fields[1]) if fields[0] != "Private_Clean:" else 0
    return mappings


def find_ram(mappings):
    """The adjacent mappings that make up the guest's RAM, as (first, last + 1)."""
    for first, (start, *_) in enumerate(mappings):
        end = start
        for last in range(first, len(mappings)):
            if mappings[last][0] != end or end - start > MEMORY:
                break
            end = mappings[last][1]
            if end - start == MEMORY:
                return first, last + 1
    sys.exit("bench/memory: cannot find the guest's RAM in smaps")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cold", action="store_true", help="boot, instead of using a template")
    args = parser.parse_args()
    command = [common.CORDON, "run", "--memory", f"{MEMORY >> 20}M",
               *(["--cold"] if args.cold else []), "--",
               "sh", "-c", "echo idle; read line"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sandbox:
        if sandbox.stdout.readline() != b"idle\n":
            sys.exit("bench/memory: the sandbox did not start")
        mappings = read_smaps(sandbox.pid)
        sandbox.communicate(b"\n")
    first, last = find_ram(mappings)
    ram, own = mappings[first:last], mappings[:first] + mappings[last:]
    what = "booted" if args.cold else "from a template"
    common.row(f"monitor's private memory, idle, {what}",
               f"{sum(m[2] for m in own)} KiB",
               f"of these dirty {sum(m[3] for m in own)} KiB")
    common.row(f"guest's RAM in memory, of {MEMORY >> 20} MiB, {what}",
               f"{sum(m[2] for m in ram)} KiB")


if __name__ == "__main__":
    main()
