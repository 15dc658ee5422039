# SPDX-License-Identifier: Apache-2.0
"""Shared by the throughput groups: figures that programs print, on the host and in a guest."""

import dataclasses
import math

from harness.model import NotMeasured, Probe, Row


def parse(text, prefix, rows):
    """{row id: value} of lines `ID VALUE UNIT`, where the row's id is prefix + ID. NotMeasured if a line is anything else."""
    known = {row.id: row for row in rows}
    found = {}
    for line in text.decode(errors="replace").splitlines():
        words = line.split()
        try:
            name, value, unit = words
            row, value = known[prefix + name], float(value)
        except (ValueError, KeyError):
            raise NotMeasured(f"no figure: {printable(line)}") from None
        if unit != row.unit or not math.isfinite(value) or value < 0:
            raise NotMeasured(f"{name}: no figure in {row.unit}: {printable(line)}")
        found[row.id] = value
    if not found:
        raise NotMeasured("the program printed no figures")
    return found


def printable(line):
    return "".join(c if c.isprintable() else "?" for c in line)[:100]


def twin(name, title, unit, host, **more):
    """[Row of the guest, Row of the same work on the host]"""
    better = "more" if unit in ("MB/s", "1/s") else "less"
    other = f"{name}.host"
    return [Row(name, title, unit, better, against=other, **more), Row(other, f"{title}: {host}", unit, better)]


def against(row, other):
    """The row, compared with another one."""
    return dataclasses.replace(row, against=other.id)


def missing(rows, reason):
    """A probe for rows that cannot be measured in this run: they stay in the table, with the reason."""
    def sample(_bench):
        raise NotMeasured(reason)

    return Probe(rows, sample, rounds=1, prepare=sample)


def template_once(bench):
    """Makes the template unless an earlier group of the run has."""
    if not getattr(bench, "has_template", False):
        bench.run_cordon("run", "--", "true", timeout=600)
        bench.has_template = True


def both(guest, host, prefix, rows):
    """parse() of what a program printed in the guest and on the host, into the rows of twin()."""
    return parse(guest, prefix, rows) | {f"{name}.host": value for name, value in parse(host, prefix, rows).items()}


def run_in_guest(bench, program, args, options=(), timeout=120, before=()):
    """What one of the benchmark's static programs prints in a new sandbox. It comes through the command's input.

    before: what cordon is an argument of.
    """
    command = f'cat >/tmp/{program} && chmod 755 /tmp/{program} && exec /tmp/{program} "$@"'
    with open(bench.program(program), "rb") as file:
        return bench.run([*before, bench.cordon, "run", *options, "--", "sh", "-c", command, program, *map(str, args)],
                         stdin=file, timeout=timeout)[1]
