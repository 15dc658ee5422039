# SPDX-License-Identifier: Apache-2.0
"""Plots of a run as SVG, drawn by gnuplot."""

import math
import re
import shutil
import subprocess

from harness import results, statistic, table

MISSING = "no plots: gnuplot is not installed: Debian has it in gnuplot-nox"
COLOURS = ["#3465a4", "#f57900", "#4e9a06", "#cc0000", "#75507b", "#c17d11", "#06989a", "#888a85", "#edd400", "#204a87"]
WIDTH = 900


def plain(text):
    """Text that gnuplot takes literally: a results file may come from anywhere."""
    return re.sub(r"[^A-Za-z0-9 .,:;/()+=<>%\u2019-]", " ", text.replace("'", "\u2019"))


def legend(names, height):
    """(script, height with it): what the colours mean, below the plot.

    gnuplot's own key is as wide as the axes at most, and leaves out what does not fit.
    """
    columns = max(1, min(3, (WIDTH - 40) // (40 + 7 * max(len(name) for name in names))))
    lines = -(-len(names) // columns)
    height += 18 * lines + 10
    script = f"set bmargin at screen {(62 + 18 * lines) / height}\n"
    for n, name in enumerate(names):
        left, y = (20 + n % columns * (WIDTH - 40) / columns) / WIDTH, (18 * (lines - n // columns) - 6) / height
        script += (f"set object rectangle from screen {left}, screen {y - 5 / height} to screen {left + 24 / WIDTH}, screen {y + 5 / height} "
                   f"fillcolor rgb '{COLOURS[n % len(COLOURS)]}' fillstyle solid noborder\n"
                   f"set label '{plain(name)}' at screen {left + 32 / WIDTH}, screen {y} left noenhanced\n")
    return script, height


def draw(script, height):
    """Runs gnuplot: an SVG document, or None if it fails."""
    head = (f'set terminal svg size {WIDTH},{height} dynamic noenhanced font "sans-serif,13" background "#ffffff"\n'
            'set encoding utf8\nset grid lc rgb "#d3d7cf"\nset border 3\nset tics nomirror\nunset key\n')
    program = shutil.which("gnuplot")
    if not program:
        return None
    try:
        done = subprocess.run([program, "-"], input=(head + script).encode(), capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    svg = done.stdout.decode(errors="replace")
    return svg[svg.index("<svg"):] if done.returncode == 0 and "<svg" in svg else None


def y_axis(labels):
    """Labels of horizontal bars, the first on top, below a free line for the key."""
    tics = ", ".join(f"'{plain(label)}' {-i}" for i, label in enumerate(labels))
    return f"set ytics ({tics})\nset yrange [{-len(labels) + 0.4}:0.6]\nunset grid\nset grid xtics lc rgb '#d3d7cf'\n"


def measured(rows):
    return [(row, results.values(row)) for row in rows if results.values(row)]


def bars(rows):
    """Medians as horizontal bars, with whiskers from the least to 90 % of the samples, on a logarithmic scale."""
    found = [(row, values) for row, values in measured(rows) if min(values) > 0]
    if not found:
        return None
    least = min(min(values) for _, values in found) / 2
    lines = [f"{statistic.median(values)} {min(values)} {statistic.quantile(values, 0.9)} {-i}"
             for i, (_, values) in enumerate(found)]
    script = (y_axis([row["title"] for row, _ in found]) + "set logscale x\n" + f"set xrange [{least}:]\n"
              + f"set xlabel '{plain(found[0][0]['unit'])}'\n$d << EOD\n" + "\n".join(lines) + "\nEOD\n"
              + f"plot $d using ({least}):4:({least}):1:($4-0.3):($4+0.3) with boxxyerror fs solid 0.8 noborder lc rgb '{COLOURS[0]}', "
              + "$d using 1:4:2:3 with xerrorbars pt 0 lw 1.5 lc rgb '#2e3436'\n")
    return draw(script, 80 + 30 * len(found))


def phase_medians(row):
    """{phase: median of its samples} in the order of the first sample."""
    samples = [sample["phases"] for sample in row["samples"] if sample.get("phases")]
    return {phase: statistic.median([phases.get(phase, 0.0) for phases in samples]) for phase in (samples[0] if samples else {})}


def phases(rows):
    """Stacked horizontal bars: the median of each phase."""
    found = [(row, phase_medians(row)) for row in rows if phase_medians(row)]
    if not found:
        return None
    names = list(dict.fromkeys(phase for _, medians in found for phase in medians))
    script, height = legend(names, 96 + 34 * len(found))
    script += y_axis([row["title"] for row, _ in found]) + f"set xlabel '{plain(found[0][0]['unit'])}'\nset xrange [0:]\n"
    parts = []
    for n, name in enumerate(names):
        lines = []
        for i, (_, medians) in enumerate(found):
            left = sum(medians.get(before, 0.0) for before in names[:n])
            lines.append(f"{left} {left + medians.get(name, 0.0)} {-i}")
        script += f"$d{n} << EOD\n" + "\n".join(lines) + "\nEOD\n"
        parts.append(f"$d{n} using 1:3:1:2:($3-0.3):($3+0.3) with boxxyerror fs solid 0.9 noborder lc rgb "
                     f"'{COLOURS[n % len(COLOURS)]}'")
    return draw(script + "plot " + ", ".join(parts) + "\n", height)


def distribution(rows):
    """For each row the share of samples up to a value: all samples are in it."""
    found = [(row, sorted(values)) for row, values in measured(rows) if len(values) > 2 and min(values) > 0]
    if not found:
        return None
    script, height = legend([row["title"] for row, _ in found], 330)
    script += f"set logscale x\nset yrange [0:100]\nset ylabel 'samples up to this, %'\nset xlabel '{plain(found[0][0]['unit'])}'\n"
    parts = []
    for n, (row, values) in enumerate(found):
        lines = [f"{value} {100 * (i + 1) / len(values)}" for i, value in enumerate(values)]
        script += f"$d{n} << EOD\n" + "\n".join([f"{values[0]} 0", *lines]) + "\nEOD\n"
        parts.append(f"$d{n} using 1:2 with steps lw 2 lc rgb '{COLOURS[n % len(COLOURS)]}'")
    return draw(script + "plot " + ", ".join(parts) + "\n", height)


def curves(rows, x_label):
    """Rows that are points of a series: medians over x."""
    series = {}
    for row, values in measured(rows):
        if row.get("series") and "x" in row:
            series.setdefault((row["series"], row["unit"]), []).append((row["x"], statistic.median(values)))
    series = {name: points for name, points in series.items() if len(points) > 1}
    if not series:
        return None
    first_unit = next(iter(series))[1]
    script, height = legend([f"{name}, {unit}" for name, unit in series], 350)
    script += f"set xlabel '{plain(x_label)}'\nset ylabel '{plain(first_unit)}'\nset yrange [0:]\nset xrange [0:]\n"
    parts = []
    for n, ((_, unit), points) in enumerate(series.items()):
        script += f"$d{n} << EOD\n" + "\n".join(f"{x} {y}" for x, y in sorted(points)) + "\nEOD\n"
        axes = ""
        if unit != first_unit:
            script += f"set y2tics\nset y2range [0:]\nset y2label '{plain(unit)}'\n"
            axes = "axes x1y2 "
        parts.append(f"$d{n} using 1:2 {axes}with linespoints lw 2 pt 7 lc rgb '{COLOURS[n % len(COLOURS)]}'")
    return draw(script + "plot " + ", ".join(parts) + "\n", height)


def decades(least, most):
    """Labels of a logarithmic axis as the table writes ratios: 1/1,000, 1/10, 1, 10."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    return "set xtics (" + ", ".join(f"'{f'1/{10 ** -n:,}' if n < 0 else f'{10 ** n:,}'}' 1e{n}" for n in powers) + ")\n"


def ratios(rows, by_id):
    """How each row stands to the one that it is measured against: 1 is as good."""
    found = []
    for row, values in measured(rows):
        other = by_id.get(row.get("against", ""))
        theirs = statistic.median(results.values(other)) if other and results.values(other) else 0
        ratio = statistic.median(values) / theirs if theirs else 0
        if 1e-9 < ratio < 1e9:      # the scale is logarithmic
            found.append((row, ratio if row["better"] == "more" else 1 / ratio))
    if not found:
        return None
    least = min(min(ratio for _, ratio in found) / 2, 0.5)
    most = max(max(ratio for _, ratio in found) * 1.5, 2)
    lines = [f"{ratio} {-i}" for i, (_, ratio) in enumerate(found)]
    script = (y_axis([row["title"] for row, _ in found]) + f"set logscale x\nset xrange [{least}:{most}]\n"
              + decades(least, most) +
              "set xlabel 'speed, where 1 is the same work on the host'\nset arrow from 1, graph 0 to 1, graph 1 nohead lw 1.5\n"
              "$d << EOD\n" + "\n".join(lines) + "\nEOD\n"
              + f"plot $d using ({least}):2:({least}):1:($2-0.3):($2+0.3) with boxxyerror fs solid 0.8 noborder lc rgb '{COLOURS[2]}'\n")
    return draw(script, 80 + 30 * len(found))


KINDS = ("", "bars", "phases", "curves", "ratios")


def of_group(group, rows, by_id):
    """[(title, svg)] of a group, as its `plot` says: a name of KINDS, for curves with ":" and what x is."""
    title = group["title"]
    kind, _, x_label = group["plot"].partition(":")
    if kind == "phases":
        drawn = [(f"{title}: medians of the phases", phases(rows)), (f"{title}: all samples", distribution(rows))]
    elif kind == "ratios":
        drawn = [(f"{title}, against the host", ratios(rows, by_id))]
    elif kind == "bars":
        drawn = [(title, bars(rows))]
    elif kind == "curves":
        drawn = [(title, curves(rows, x_label))]
    else:
        drawn = []
    return [(name, svg) for name, svg in drawn if svg]


def of_run(run, suite):
    """[(group's name, title, svg)] of a suite."""
    by_id = {row["id"]: row for row in run["rows"]}
    return [(group["name"], title, svg) for group, rows in table.by_group(run, suite)
            for title, svg in of_group(group, rows, by_id)]


def available():
    return shutil.which("gnuplot") is not None
