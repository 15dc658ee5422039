# SPDX-License-Identifier: Apache-2.0
"""Which rows of a run differ from an older run by more than noise."""

import math

from harness import results, statistic

P_LIMIT = 0.01
LEAST_CHANGE = 0.05
CONTROLS = 5                # rows of the host's own work that tell how much the host itself has changed
CONTROL_SHARE = 0.9         # of them have changed by less than what is then called a change
CONTROL_ENDS = (".host", ".process")        # of their ids
NOT_TIMES = ("KiB", "MiB", "instructions", "count")     # they do not depend on the host's speed

SAME, BETTER, WORSE, GONE, NEW = "same", "better", "worse", "gone", "new"
FEW, BUSY = "too few samples", "others kept the host busy"


def drift(old_run, new_run):
    """By which share the host's own work got faster or slower between the runs, in nine of ten rows of it; 0: not known."""
    old = {row["id"]: row for row in old_run["rows"] if row["id"].endswith(CONTROL_ENDS)}
    found = []
    for row in new_run["rows"]:
        if row["id"] not in old:
            continue
        before, after = (results.values(entry) for entry in (old[row["id"]], row))
        if min(len(before), len(after)) > 2 and statistic.median(before) and statistic.median(after):
            found.append(abs(math.log(statistic.median(after) / statistic.median(before))))
    return math.expm1(statistic.quantile(found, CONTROL_SHARE)) if len(found) >= CONTROLS else 0.0


def verdict(old, new, least=LEAST_CHANGE):
    """(verdict, ratio of medians or None, p or None) of a row in both runs; least: a smaller change is none."""
    before, after = results.values(old), results.values(new)
    if not after:
        return (GONE if before else SAME), None, None
    if not before:
        return NEW, None, None
    middle = statistic.median(before)
    ratio = statistic.median(after) / middle if middle else None
    if results.busy(old) or results.busy(new):
        return BUSY, ratio, None
    if statistic.least_p(len(before), len(after)) >= P_LIMIT:
        return FEW, ratio, None
    p = statistic.permutation_test(before, after)
    if not ratio or p >= P_LIMIT or max(ratio, 1 / ratio) - 1 <= least:
        return SAME, ratio, p
    return (BETTER if (ratio < 1) == (new["better"] == "less") else WORSE), ratio, p


def group_name(row):
    return row["suite"], row["group"]


def group_names(run):
    return {group_name(row) for row in run["rows"]}


def compare(old_run, new_run):
    """[(row of the new run, or of the old one if it is gone, verdict, ratio, p)], the new run's order first."""
    old = {row["id"]: row for row in old_run["rows"]}
    # A group that was not asked for in one of the runs is neither new nor gone.
    both = group_names(old_run) & group_names(new_run)
    of_host = max(LEAST_CHANGE, drift(old_run, new_run))
    found = []
    for row in new_run["rows"]:
        if row["id"] in old:
            least = LEAST_CHANGE if row["unit"] in NOT_TIMES else of_host
            found.append((row, *verdict(old.pop(row["id"]), row, least)))
        elif group_name(row) in both:
            found.append((row, NEW, None, None))
    found += [(row, GONE, None, None) for row in old.values() if group_name(row) in both and row["samples"]]
    return found


def host_differences(old_run, new_run):
    """Facts of the hosts that differ, as text: a comparison across them says little about the program."""
    return [f"{fact}: {old_run['host'].get(fact)}, now {new_run['host'].get(fact)}"
            for fact in ("processor", "processors", "kernel", "kvm", "governor", "mitigations")
            if old_run["host"].get(fact) != new_run["host"].get(fact)]


def lines(old_run, new_run):
    """(lines of text, whether a row got worse)"""
    found = compare(old_run, new_run)
    text = []
    differences = host_differences(old_run, new_run)
    if differences:
        text.append("The hosts differ: " + "; ".join(differences))
    if bool(old_run.get("quick")) != bool(new_run.get("quick")):
        text.append("One run was made with --quick and the other without: their amounts of work differ.")
    moved = drift(old_run, new_run)
    if moved > LEAST_CHANGE:
        text.append(f"The host itself ran up to {moved:.0%} faster or slower than before (its own work, without Cordon): smaller "
                    "changes of times are not told apart from that.")
    changed = [entry for entry in found if entry[1] in (BETTER, WORSE)]
    for row, what, ratio, p in changed:
        text.append(f"{what:<7} {row['title']}: {(ratio - 1) * 100:+.0f} % (p = {p:.2g})")
    for word in (GONE, NEW, FEW, BUSY):
        titles = [row["title"] for row, what, *_ in found if what == word]
        if titles:
            text.append(f"not compared, {word}: " + "; ".join(titles[:4]) + (f"; {len(titles) - 4} more" if titles[4:] else ""))
    compared = sum(what in (SAME, BETTER, WORSE) for _, what, *_ in found)
    text.append(f"{compared} rows compared, {sum(w == WORSE for _, w, *_ in changed)} worse, "
                f"{sum(w == BETTER for _, w, *_ in changed)} better (p < {P_LIMIT}, over {LEAST_CHANGE:.0%})")
    return text, any(what == WORSE for _, what, *_ in changed)
