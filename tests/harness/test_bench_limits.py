# SPDX-License-Identifier: Apache-2.0
"""CI's watch over counts: a growth fails, unless it is accepted."""
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "bench"))
import limits  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def watched(monkeypatch):
    monkeypatch.setattr(limits, "WATCHED", ("counts.a", "counts.b"))


def run_of(**counts):
    return {"host": {"kvm": "hardware"},
            "rows": [{"id": f"counts.{name}", "suite": "counts", "group": "run", "unit": "count", "samples": [{"value": value} for value in values]}
                     for name, values in counts.items()]}


def verdicts(run, text, changelog=""):
    return [verdict for verdict, _ in limits.check(run, limits.read_limits(text), limits.accepted(changelog))]


def test_growth_beyond_spread_and_margin():
    text = "# head\ncounts.a hardware 1000 1.00\n"
    assert verdicts(run_of(a=[1030]), text) == ["ok"]
    assert verdicts(run_of(a=[1031]), text) == ["not ok"]
    assert verdicts(run_of(a=[1031, 1000]), text) == ["ok"]


def test_accepted_growth():
    text = "counts.a hardware 1000 0.00\n"
    assert verdicts(run_of(a=[1500]), text, "- bench: accept counts.a 1500: a new device") == ["ok"]
    assert verdicts(run_of(a=[1501]), text, "- bench: accept counts.a 1500: a new device") == ["not ok"]
    assert verdicts(run_of(a=[1500]), text, "- bench: accept counts.b 1500") == ["not ok"]


def test_rows_that_are_missing_or_new():
    assert verdicts(run_of(a=[]), "counts.a hardware 1000 0\n") == ["skip"]
    assert verdicts(run_of(), "counts.a hardware 1000 0\n") == ["skip"]
    assert verdicts(run_of(a=[1]), "") == ["not ok"]
    assert verdicts(run_of(unwatched=[1]), "") == []


def test_another_kind_of_host():
    run = run_of(a=[2000])
    assert verdicts(run, "counts.a ring0-emulated 1000 0\n") == ["skip"]
    run["rows"][0]["group"] = "lab"
    assert verdicts(run, "counts.a lab 1000 0\n") == ["not ok"]


def test_written_limits_hold_what_was_measured():
    runs = [run_of(a=[100, 90], b=[5]), run_of(a=[110], b=[5])]
    text = limits.written(runs)
    assert limits.read_limits(text) == {"counts.a": ("hardware", 110, 22.22), "counts.b": ("hardware", 5, 0)}
    assert all(verdicts(run, text) == ["ok", "ok"] for run in runs)
