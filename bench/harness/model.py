# SPDX-License-Identifier: Apache-2.0
"""What is measured: rows, the probes that give their samples, and groups of probes that take turns."""

import dataclasses
import typing


class NotMeasured(Exception):
    """A probe cannot give its figures here; the text says why, and what to do if something can be done."""


class TimedOut(NotMeasured):
    """It did not end in time: it is not tried again."""


class Problem(Exception):
    """A run that cannot be made, or not finished: one line, exit status 125."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. `id` stays the same between versions: runs are compared by it."""
    id: str
    title: str
    unit: str               # ms, us, ns, KiB, MiB, MB/s, 1/s, instructions, ...
    better: str = "less"    # or "more"
    against: str = ""       # id of the row whose median this one is divided by, for the last column
    series: str = ""        # the curve that the row is a point of, at x
    x: float | None = None


@dataclasses.dataclass
class Figure:
    """One sample of one row. `phases` are parts of the value, in its unit and in their order."""
    value: float
    phases: dict | None = None


@dataclasses.dataclass
class Probe:
    """One way to take samples. A single execution can give figures for several rows.

    sample(bench) returns {row id: number, Figure or a list of them}; a row that is not in it has no sample of this execution.
    Raises NotMeasured if it cannot. prepare and finish run once, before the group's first round and
    after its last; finish also runs after a failure.
    """
    rows: list[Row]
    sample: typing.Callable
    rounds: int = 10
    prepare: typing.Callable | None = None
    finish: typing.Callable | None = None
    counts: bool = False    # the figures are counts: load from others does not make a sample worse


@dataclasses.dataclass
class Group:
    """Probes on comparable work. They take turns, so that a change of the host's speed meets all of them."""
    suite: str
    name: str
    title: str
    probes: list[Probe]
    seconds: float = 10.0   # what it is expected to take, preparation included: its share of the time limit
    plot: str = ""          # how the report draws it: see plot.of_group()
    note: str = ""          # conditions worth a line below the table: sizes, what is shrunk


def rows_of(groups):
    """{row id: Row} in the order of the table; two rows of one id are a mistake."""
    rows = {}
    for group in groups:
        for probe in group.probes:
            for row in probe.rows:
                if row.id in rows:
                    raise ValueError(f"two rows {row.id}")
                rows[row.id] = row
    return rows
