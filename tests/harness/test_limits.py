# SPDX-License-Identifier: Apache-2.0
"""docs/limits.md is what the constants say, and the tests that it names exist."""
import os
import re
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROW = re.compile(r"^\| (.+) \| (.+) \| (.+) \| `(\S+)` \|$", re.M)


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as file:
        return file.read()


def exists(name):
    """Whether there is a test SUITE.FILE.TEST of C, or FILE.TEST of the integration tests."""
    parts = name.split(".")
    path = {"unit": ("unit", f"{parts[1]}.c"), "guest": ("guest", f"test_{parts[1]}.c")}.get(
        parts[0], ("integration", f"test_{parts[0]}.py"))
    if not os.path.exists(os.path.join(TOP, "tests", *path)):
        return False
    mark = {"unit": f"START_TEST({parts[-1]})", "guest": f'.name = "{parts[-1]}"'}.get(parts[0], f"def test_{parts[-1]}(")
    return mark in read("tests", *path)


def test_the_table_is_what_the_constants_say():
    made = subprocess.run([os.path.join(TOP, "build", "mklimits")], stdout=subprocess.PIPE, check=True, text=True).stdout
    assert made == read("docs", "limits.md"), "docs/limits.md is out of date: run 'make limits'"


def test_each_bound_has_a_test():
    rows = ROW.findall(read("docs", "limits.md"))
    assert len(rows) > 60
    assert [row[3] for row in rows if not exists(row[3])] == []
    assert [row[0] for row in rows if not re.search(r"\d", row[1])] == []


def test_names_are_looked_up():
    assert exists("unit.test_budget.uses_never_exceed_the_total") and exists("usage.bad_values")
    for name in ("unit.test_budget.nothing", "unit.test_nothing.nothing", "guest.rings.nothing", "usage.nothing"):
        assert not exists(name)
