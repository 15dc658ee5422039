# SPDX-License-Identifier: Apache-2.0
"""report.md and report.html of a run, and the generated part of a document."""

import html
import os
import re

from harness import host, plot, results, table

SUITES = {"start": "Start", "throughput": "Throughput and latency", "density": "Density", "counts": "Counts", "peers": "Peers"}
MARKS = "<!-- cordon bench {}: begin -->", "<!-- cordon bench {}: end -->"

STYLE = """body{font:15px/1.45 sans-serif;max-width:960px;margin:2em auto;padding:0 1em;color:#2e3436;background:#fff}
table{border-collapse:collapse;margin:.6em 0}td,th{padding:.15em .7em;border-bottom:1px solid #d3d7cf;text-align:left}
td.n,th.n{text-align:right;white-space:nowrap}.note{color:#555753}svg{max-width:100%;height:auto}
h2{margin-top:2em}pre{background:#f4f4f2;padding:.6em;overflow-x:auto}"""


def load_text(load):
    return f"{load:.1f}" if results.is_number(load) else "not shown"


def facts(run):
    """[(name, text)] of the host and the run."""
    about = run["host"]
    return [("program", run["cordon"]), ("command", run["command"]), ("started", run["started"]),
            ("host", f"{about.get('processors')} x {about.get('processor')}, {about.get('memory_mib')} MiB, "
                     f"Linux {about.get('kernel')}"),
            ("KVM", host.kind(about)),
            ("governor", str(about.get("governor"))),
            ("load at the start", load_text(about.get("load_at_start")))]


def suites(run):
    named = {row["suite"] for row in run["rows"]}
    return [suite for suite in SUITES if suite in named]


def notes(run):
    """What limits the whole run."""
    found = list(run.get("notes", []))
    if run.get("interrupted"):
        found.insert(0, "The run was interrupted: rows are missing, and some have fewer samples.")
    return found


def markdown(run, comparison):
    lines = ["# cordon bench", ""]
    lines += [f"- {name}: {text}" for name, text in facts(run)]
    lines += ["", *notes(run)]
    if comparison:
        lines += ["", "## Compared", "", "```", *comparison, "```"]
    for suite in suites(run):
        lines += ["", f"## {SUITES[suite]}", *table.markdown(run, suite)]
    return "\n".join(lines) + "\n"


def html_rows(members, rows):
    text = []
    for row in members:
        title, middle, most, nearly_all, count, note = (html.escape(cell) for cell in table.cells(row, rows))
        numbers = "".join(f'<td class="n">{cell}</td>' for cell in (middle, most, nearly_all, count))
        text.append(f'<tr><td>{title}</td>{numbers}<td class="note">{note}</td></tr>')
    return text


def html_suite(run, suite):
    rows = {row["id"]: row for row in run["rows"]}
    drawn = plot.of_run(run, suite)
    text = [f"<h2>{SUITES[suite]}</h2>"]
    for group, members in table.by_group(run, suite):
        text.append(f"<h3>{html.escape(group['title'])}</h3><table><tr><th></th>"
                    + "".join(f'<th class="n">{word}</th>' for word in table.HEAD[1:5]) + "<th></th></tr>")
        text += html_rows(members, rows)
        text.append("</table>")
        if group["note"]:
            text.append(f'<p class="note">{html.escape(group["note"])}</p>')
        for name, title, svg in drawn:
            if name == group["name"]:
                text.append(f"<figure><figcaption>{html.escape(title)}</figcaption>{svg}</figure>")
    return text


def page(run, comparison):
    """report.html: one file, without anything from elsewhere."""
    text = ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8"><title>cordon bench</title>',
            f"<style>{STYLE}</style></head><body><h1>cordon bench</h1><table>"]
    text += [f"<tr><th>{name}</th><td>{html.escape(value)}</td></tr>" for name, value in facts(run)]
    text.append("</table>")
    text += [f"<p>{html.escape(note)}</p>" for note in notes(run)]
    if comparison:
        text.append("<h2>Compared</h2><pre>" + html.escape("\n".join(comparison)) + "</pre>")
    for suite in suites(run):
        text += html_suite(run, suite)
    text.append("</body></html>")
    return "\n".join(text) + "\n"


def write(directory, run, comparison):
    """Writes report.md and report.html. OSError if that fails."""
    results.write_file(os.path.join(directory, "report.md"), markdown(run, comparison))
    results.write_file(os.path.join(directory, "report.html"), page(run, comparison))


def host_key(about):
    """What marks and plots of such a host are called: lab, hardware, ring0-emulated."""
    return "lab" if about.get("in_lab") else re.sub(r"[^a-z0-9]", "-", str(about.get("kvm")))


def read_doc(path, about):
    """A document: (its text up to the table of this kind of host, and from there on). BadResults if it is none."""
    begin, end = (mark.format(host_key(about)) for mark in MARKS)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise results.BadResults(f"{path}: {error.strerror}") from None
    except ValueError:
        raise results.BadResults(f"{path}: not a text") from None
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise results.BadResults(f"{path}: needs one line '{begin}' and after it one line '{end}'")
    return text[:text.index(begin) + len(begin)], text[text.index(end):]


def write_doc(path, run):
    """Replaces what is between the marks of this kind of host in a document with the table of the run.

    Plots go to plots/ beside it, named by kind of host, suite and group.
    """
    where = host_key(run["host"])
    before, after = read_doc(path, run["host"])
    lines = [f"- {name}: {value}" for name, value in facts(run)] + ["", *notes(run)]
    directory = os.path.join(os.path.dirname(path), "plots")
    os.makedirs(directory, exist_ok=True)
    for suite in suites(run):
        lines += ["", f"### {SUITES[suite]}", *table.markdown(run, suite, "####"), ""]
        for number, (name, title, svg) in enumerate(plot.of_run(run, suite)):
            file = f"{where}-{suite}-{number}-{re.sub(r'[^a-z0-9]', '-', name)}.svg"
            results.write_file(os.path.join(directory, file), svg)
            lines += [f"![{title}](plots/{file})", ""]
    results.write_file(path, before + "\n" + "\n".join(lines) + "\n" + after)
