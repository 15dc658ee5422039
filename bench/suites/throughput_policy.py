# SPDX-License-Identifier: Apache-2.0
"""What a decision of the policy costs in each class, and its line in the audit log."""

from harness.model import Group, Probe, Row
from suites import figures

PREFIX = "throughput.policy."


def decision_rows():
    def row(name, title):
        return Row(PREFIX + name, title, "ns")

    rows = [row(f"file.mixed.{count}", f"file: {count:,} rule{'s' if count > 1 else ''}") for count in (1, 10, 100, 1000, 4000)]
    rows += [row("file.folders.1000", "file: 1,000 rules, each for a directory"),
             row("file.anywhere.1000", "file: 1,000 rules, each for a name anywhere"),
             row("file.endings.1000", "file: 1,000 rules, each for an ending"),
             row("file.stars.1000", "file: 1,000 rules without fixed beginning or end"),
             row("file.deep", "file: a path of 1,900 components, 1,000 rules")]
    for name, what in (("net", "connection"), ("exec", "program")):
        rows += [row(f"{name}.1", f"{what}: 1 rule"), row(f"{name}.1000", f"{what}: 1,000 rules")]
    return rows + [row("process", "system calls: a group of them")]


def groups(bench, _options):
    decisions = decision_rows()
    rest = [Row(PREFIX + "audit", "file: decisions with their line in the log", "1/s", "more"),
            Row(PREFIX + "read.1000", "reading a policy of 1,000 rules", "ms")]
    count = bench.size(200000, quick=5000)
    rounds = bench.size(10, quick=3)

    def probe(rows, *words):
        return Probe(rows, lambda b: figures.parse(b.run([b.program("policy"), str(count), *words])[1], PREFIX, rows), rounds)

    return [Group("throughput", "policy", "Decisions of the policy, without a guest", [probe(decisions)],
                  seconds=1 if bench.quick else 10, plot="bars",
                  note="Processor time. The last rule matches, so that every rule before it counts."),
            Group("throughput", "audit", "The policy's file and the audit log", [probe(rest, "log")],
                  seconds=1 if bench.quick else 5)]
