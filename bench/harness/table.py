# SPDX-License-Identifier: Apache-2.0
"""The one table at the end: a line for each row, as text and as Markdown."""

import textwrap

from harness import results, statistic

WIDTH = 100     # of text for a terminal; a row with a long title or remark is wider

SCALES = {
    "ns": [(1e9, "s"), (1e6, "ms"), (1e3, "us")],
    "us": [(1e6, "s"), (1e3, "ms")],
    "ms": [(1e3, "s")],
    "KiB": [(1 << 20, "GiB"), (1 << 10, "MiB")],
    "MiB": [(1 << 10, "GiB")],
    "MB/s": [(1e3, "GB/s")],
    "instructions": [(1e6, "M"), (1e3, "k")],
    "1/s": [],
}


def digits(value):
    """Three significant digits, and all of a whole number."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def show(value, unit):
    """A number with the unit that suits its size."""
    if unit == "1/s":
        return f"{digits(value)} a second"
    for factor, name in SCALES.get(unit, []):
        if abs(value) >= factor * 0.9995:
            return f"{digits(value / factor)} {name}"
    return f"{digits(value)} {'' if unit in ('instructions', 'count') else unit}".rstrip()


def ratio_text(row, rows):
    """How the row stands to the one that it is measured against."""
    other = rows.get(row.get("against", ""))
    if not other or not results.values(other) or not results.values(row):
        return ""
    base = statistic.median(results.values(other))
    if not base:
        return ""
    # The same work on the host has an id with ".host" at its end.
    what = "the host's" if row["against"].endswith(".host") else other["title"]
    ratio = statistic.median(results.values(row)) / base
    return f"1/{digits(1 / ratio)} of {what}" if 0 < ratio < 0.1 else f"{digits(ratio)} x {what}"


def cells(row, rows):
    """[title, median, p90, p99, samples, ratio]; for a row without samples the reason is in place of the ratio."""
    values = results.values(row)
    if not values:
        return [row["title"], "-", "", "", "0", "not measured: " + row.get("reason", "no sample")]
    # Bad luck is at the other end where more is better.
    tails = (0.9, 0.99) if row["better"] == "less" else (0.1, 0.01)
    notes = [ratio_text(row, rows), row.get("reason", "")]
    return [row["title"], show(statistic.median(values), row["unit"]),
            *(show(statistic.quantile(values, share), row["unit"]) if len(values) > 2 else "" for share in tails),
            f"{len(values)}{'*' if results.busy(row) else ''}", "; ".join(note for note in notes if note)]


HEAD = ["", "median", "90 % within", "99 % within", "samples", ""]


def by_group(run, suite=None):
    """[(group, its rows)] in order, of one suite or of all; a group without rows is left out."""
    found = []
    for group in run["groups"]:
        rows = [row for row in run["rows"] if row["group"] == group["name"]]
        if rows and suite in (None, group["suite"]):
            found.append((group, rows))
    return found


def text(run):
    """The table for a terminal, as lines."""
    rows = {row["id"]: row for row in run["rows"]}
    lines = []
    for group, members in by_group(run):
        width = max(len(row["title"]) for row in members) + 4
        lines += ["", group["title"], f"{'':<{width}}  {HEAD[1]:>14} {HEAD[2]:>14} {HEAD[3]:>14} {HEAD[4]:>8}"]
        for row in members:
            title, middle, most, nearly_all, count, note = cells(row, rows)
            lines.append(f"  {title:<{width - 2}}  {middle:>14} {most:>14} {nearly_all:>14} {count:>8}  {note}".rstrip())
        if group["note"]:
            lines += textwrap.wrap(group["note"], WIDTH, initial_indent="  ", subsequent_indent="  ")
    return lines


def markdown(run, suite=None, heading="###"):
    rows = {row["id"]: row for row in run["rows"]}
    lines = []
    for group, members in by_group(run, suite):
        lines += ["", f"{heading} {group['title']}", "", "| | " + " | ".join(HEAD[1:5]) + " | |", "|---|---:|---:|---:|---:|---|"]
        for row in members:
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells(row, rows)) + " |")
        if group["note"]:
            lines += ["", group["note"]]
    return lines
