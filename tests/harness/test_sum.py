# SPDX-License-Identifier: Apache-2.0
"""run-all.py adds up the suites' closing lines, and strict runs fail on flaky tests and on those not run."""
import os
import subprocess

import pytest
from runs import HERE

RUN_ALL = os.path.join(HERE, "..", "run-all.py")


def add(tmp_path, text, *options):
    log = tmp_path / "log"
    log.write_text(text)
    done = subprocess.run([RUN_ALL, "--add", log, *options], stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize("text, status, strict, last", [
    ("ok a\n3 passed, 0 failed, 1 skipped\nok b\n4 passed, 0 failed, 0 skipped\n", 0, 0,
     ["7 passed, 0 failed, 1 skipped"]),
    ("3 passed, 1 failed, 0 skipped\n", 1, 1, ["3 passed, 1 failed, 0 skipped"]),
    ("0 passed, 0 failed, 9 skipped\n", 1, 1, ["0 passed, 0 failed, 9 skipped"]),
    ("", 1, 1, ["0 passed, 0 failed, 0 skipped"]),
    ("2 flaky: a.x, b.y\n3 passed, 0 failed, 0 skipped\n1 flaky: c.z\n1 passed, 0 failed, 0 skipped\n", 0, 1,
     ["3 flaky: a.x, b.y, c.z", "4 passed, 0 failed, 0 skipped"]),
    ("1 not run: lab.life\n3 passed, 0 failed, 1 skipped\n", 0, 1,
     ["1 not run: lab.life", "3 passed, 0 failed, 1 skipped"]),
    ("xx 3 passed, 0 failed, 0 skipped\n3 passed, 0 failed, 0 skipped yy\n", 1, 1, ["0 passed, 0 failed, 0 skipped"]),
], ids=["two suites", "a failure", "nothing passed", "no lines", "flaky", "not run", "other lines"])
def test_closing_lines_are_added(tmp_path, text, status, strict, last):
    assert add(tmp_path, text) == (status, last)
    assert add(tmp_path, text, "--strict") == (strict, last)
