#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Watches counts: says which of a run of `cordon bench counts` grew beyond bench/limits.

usage: bench/limits.py RESULTS.json            check; a count that grew fails, unless CHANGELOG.md accepts it
       bench/limits.py --write RESULTS.json... set the limits to what these runs measured

A line of bench/limits is `ID KIND COUNT SPREAD`: the largest count that was measured on such a kind of host (lab: in
the lab, on any host), and by how many percent the runs differed. A count may be larger by the spread and 2 % more.
A line of CHANGELOG.md with `accept ID COUNT` in it accepts a growth up to COUNT.
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from harness import results, table  # noqa: E402  (needs the path above)

LIMITS = os.path.join(HERE, "limits")
CHANGELOG = os.path.join(HERE, "..", "CHANGELOG.md")
MARGIN = 2.0            # percent beyond the spread
# Exits and emulated instructions depend on how many ticks of the guest's clock pass, and so on the host's speed.
WATCHED = ("counts.calls", "counts.copied", "counts.boot", "counts.warm.kernel", "counts.warm.programs",
           "counts.exec.kernel", "counts.exec.programs")

HEAD = """# Largest counts of `cordon bench counts` by kind of host, and the spread of the runs in percent.
# Written by bench/limits.py --write, which explains it.
"""


def read_limits(text):
    """{id: (kind, count, spread)}; ValueError for a line that is none."""
    limits = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, kind, count, spread = line.split()
            limits[name] = (kind, float(count), float(spread))
    return limits


def accepted(changelog):
    """{id: the largest count that CHANGELOG.md accepts}"""
    found = {}
    for name, count in re.findall(r"\baccept (counts\.[a-z0-9._]+) ([0-9]+)\b", changelog):
        found[name] = max(found.get(name, 0), float(count))
    return found


def kind_of(run, row):
    """On what kind of host the row's count depends."""
    return "lab" if row["group"] == "lab" else run["host"]["kvm"]


def check(run, limits, accept):
    """[(verdict, text)] with verdicts ok, not ok and skip."""
    rows = {row["id"]: row for row in run["rows"] if row["suite"] == "counts"}
    lines = []
    for name, (kind, count, spread) in limits.items():
        row = rows.get(name)
        if row and kind != kind_of(run, row):
            lines.append(("skip", f"{name}: the limit is for another kind of host, {kind}"))
            continue
        values = results.values(row) if row else []
        limit = count * (1 + (spread + MARGIN) / 100)
        if not values:
            lines.append(("skip", f"{name}: not measured: {row.get('reason', '') if row else 'no such row'}"))
            continue
        # The least: what disturbs a run only adds to it.
        least = min(values)
        text = f"{name}: {table.show(least, row['unit'])}, limit {table.show(limit, row['unit'])}"
        if least <= limit:
            lines.append(("ok", text))
        elif least <= accept.get(name, 0):
            lines.append(("ok", text + ": it grew, which CHANGELOG.md accepts"))
        else:
            lines.append(("not ok", text + f": it grew. Mend it, or write 'accept {name} COUNT' with the reason in CHANGELOG.md"))
    lines += [("not ok", f"{name}: measured, but not in bench/limits: run bench/limits.py --write")
              for name, row in rows.items() if name in WATCHED and name not in limits and results.values(row)]
    return lines


def written(runs):
    """The text of bench/limits for these runs."""
    found = {}
    for run in runs:
        for row in run["rows"]:
            if row["id"] in WATCHED and results.values(row):
                found.setdefault((row["id"], kind_of(run, row)), []).append(min(results.values(row)))
    text = HEAD
    for (name, kind), values in found.items():
        spread = 100 * (max(values) / min(values) - 1) if min(values) else 0
        text += f"{name} {kind} {max(values):.0f} {spread:.2f}\n"
    return text


def main():
    names = [name for name in sys.argv[1:] if name != "--write"]
    if not names or any(name.startswith("-") for name in names):
        sys.exit(__doc__)
    try:
        runs = [results.load(name) for name in names]
        if "--write" in sys.argv:
            results.write_file(LIMITS, written(runs))
            return 0
        with open(LIMITS, encoding="ascii") as limits, open(CHANGELOG, encoding="utf-8") as changelog:
            lines = check(runs[0], read_limits(limits.read()), accepted(changelog.read()))
    except (results.BadResults, OSError, ValueError) as problem:
        sys.exit(f"bench/limits.py: {problem}")
    for verdict, text in lines:
        print(verdict, text)
    counts = [sum(verdict == each for verdict, _ in lines) for each in ("ok", "not ok", "skip")]
    print("{} passed, {} failed, {} skipped".format(*counts))
    return 1 if counts[1] or not counts[0] else 0


if __name__ == "__main__":
    sys.exit(main())
