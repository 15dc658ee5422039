# SPDX-License-Identifier: Apache-2.0
"""The groups of the suite `peers` once more in the lab (docs/lab.md), all of them in one machine.

The lab runs peers_inside.py; its samples are those of the rows here.
"""

import json
import os
import sys

from harness.context import last_line
from harness.model import Group, NotMeasured, Probe, Row

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
LAB = os.path.join(TOP, "tests", "lab", "run.sh")
INSIDE = os.path.join(TOP, "bench", "suites", "peers_inside.py")
SECONDS = 1500


class LabRun:
    """What the lab measured: nothing before the first use, then {id of a row: (samples, reason)}."""

    def __init__(self, names):
        self.names = names
        self.rows = None
        self.problem = ""

    def rows_of(self, bench):
        if self.rows is None:
            self.rows = {}
            if not os.path.exists(LAB):
                raise NotMeasured("the lab is in Cordon's source tree only")
            output, errors = bench.path("peers-in-the-lab"), bench.path("peers-in-the-lab.errors")
            try:
                with open(output, "wb") as out, open(errors, "wb") as err:
                    # The user's environment: the lab's cache is there.
                    bench.run([LAB, "--timeout", str(SECONDS), "--", sys.executable, "-B", INSIDE, bench.cordon,
                               bench.programs, self.names or ""], timeout=SECONDS + 300, stdout=out, stderr=err, env=os.environ)
            except NotMeasured as problem:
                self.problem = f"the {last_word(errors) or problem}"
            with open(output, "rb") as file:
                self.rows = dict(parsed(line) for line in file)
        return self.rows

    def take(self, bench, name):
        """The next sample of a row, or None."""
        samples, reason = self.rows_of(bench).get(name, ([], self.problem or "the lab measured nothing for this row"))
        if not samples and reason:
            raise NotMeasured(reason)
        return samples.pop(0) if samples else None


def last_word(path):
    """Why the lab ended: its own first message, which the console of its machine may follow."""
    with open(path, "rb") as file:
        lines = file.read(1 << 20).splitlines()
    own = [line for line in lines if line.startswith(b"lab:")]
    return last_line((own or lines[-1:] or [b""])[0]) if lines else ""


def parsed(line):
    """(id, (samples, reason)) of a line; nonsense is a row without a name."""
    try:
        row = json.loads(line)
        return str(row["id"]), ([float(value) for value in row["samples"]], str(row["reason"]))
    except (ValueError, KeyError, TypeError):
        return "", ([], last_line(line))


def probe_of(run, probe):
    row = probe.rows[0]
    against = row.against.replace("peers.", "peers.lab.", 1)
    mine = Row(row.id.replace("peers.", "peers.lab.", 1), row.title, row.unit, row.better, against)
    given = []

    def sample(bench):
        value = run.take(bench, row.id)
        if value is None and not given:
            raise NotMeasured("the lab measured nothing for this row")
        given.append(value)
        return {mine.id: value} if value is not None else {}

    return Probe([mine], sample, 5)


def groups(here, names):
    """The same groups as here, in the lab."""
    run = LabRun(names)
    return [Group("peers", f"lab-{group.name}", f"In the lab: {group.title}", [probe_of(run, probe) for probe in group.probes],
                  seconds=1 if number else SECONDS / 2, plot=group.plot,
                  note="An emulated machine with a true kvm-amd: ratios are of use, times are not hardware's.")
            for number, group in enumerate(here)]
