# SPDX-License-Identifier: Apache-2.0
"""run-all.py judges test programs by what they print and how they end: here shell scripts that stand for them."""
import os
import shutil
import subprocess

import pytest
from runs import HERE

TESTS = os.path.join(HERE, "..")
CHECK = "echo '100%: Checks: 3, Failures: 0, Errors: 0'"


def run(tmp_path, suite, script, files=()):
    """Run a suite of one program, in a tree of its own. Returns the exit status and the lines."""
    for name in ("run-all.py", "closing.py", "lock_watch.py"):
        os.makedirs(tmp_path / "tests" / suite, exist_ok=True)
        shutil.copy(os.path.join(TESTS, name), tmp_path / "tests")
    name = "fuzz_x" if suite == "fuzz" else "test_x"
    for path in (f"tests/{suite}/{name}.c", *files):
        os.makedirs(tmp_path / os.path.dirname(path), exist_ok=True)
        (tmp_path / path).write_text("x")
    if script is not None:
        program = tmp_path / "build" / "tests" / suite / name
        os.makedirs(program.parent)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    done = subprocess.run([tmp_path / "tests" / "run-all.py", suite], stdout=subprocess.PIPE, text=True)
    return done.returncode, done.stdout.splitlines()


CORPUS, CRASH = "tests/fuzz/corpus/fuzz_x/read", "tests/fuzz/crashes/fuzz_x/old"


CASES = {
    "unit": ("unit", CHECK, (), "ok unit.test_x: 3", "3 passed, 0 failed, 0 skipped"),
    "unit_fails": ("unit", "echo '66%: Checks: 3, Failures: 1, Errors: 0'; exit 1", (), "not ok unit.test_x: 1 of 3",
                   "2 passed, 1 failed, 0 skipped"),
    "unit_ends_badly": ("unit", f"{CHECK}; exit 1", (), "not ok unit.test_x ended with 1", "3 passed, 1 failed, 0 skipped"),
    "unit_without_tests": ("unit", "true", (), "not ok unit.test_x ended with no tests", "0 passed, 1 failed, 0 skipped"),
    "unit_not_built": ("unit", None, (), "not ok unit.test_x ended with no program", "0 passed, 1 failed, 0 skipped"),
    "guest": ("guest", "echo ok a; echo skip b why", (), "ok guest.x.a", "1 passed, 0 failed, 1 skipped"),
    "guest_fails": ("guest", "echo ok a; echo not ok b: why", (), "not ok guest.x.b: why", "1 passed, 1 failed, 0 skipped"),
    "guest_crashes": ("guest", "echo ok a; kill -SEGV $$", (), "not ok guest.test_x ended with -11",
                      "1 passed, 1 failed, 0 skipped"),
    "guest_without_tests": ("guest", "true", (), "not ok guest.test_x ended with no tests", "0 passed, 1 failed, 0 skipped"),
    "fuzz": ("fuzz", "true", (CORPUS, CRASH), "ok fuzz.fuzz_x: 20000 inputs, 1 old crashes", "2 passed, 0 failed, 0 skipped"),
    "fuzz_without_corpus": ("fuzz", "true", (CRASH,), "not ok fuzz.fuzz_x ended with no corpus",
                            "0 passed, 1 failed, 0 skipped"),
    "fuzz_fails": ("fuzz", "exit 77", (CORPUS,), "not ok fuzz.fuzz_x ended with 77", "0 passed, 1 failed, 0 skipped"),
    "fuzz_crashes_again": ("fuzz", "case $1 in -*) ;; *) exit 1;; esac", (CORPUS, CRASH),
                           "not ok fuzz.fuzz_x old ended with 1", "1 passed, 1 failed, 0 skipped"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_program(tmp_path, case):
    suite, script, files, said, last = CASES[case]
    status, lines = run(tmp_path, suite, script, files)
    assert said in lines, lines
    assert lines[-1] == last and status == (" 0 failed" not in last), (status, lines)


def test_what_failed_stands_at_the_end_of_a_log(tmp_path):
    log = tmp_path / "log"
    log.write_text("not ok a.b (1.0 s)\n    why\nok a.c (1.0 s)\n    not this\nnot ok a.d (2.0 s)\n    nor this\n1 flaky: a.d\n"
                   "3 passed, 1 failed, 0 skipped\nok lint\n1 passed, 0 failed, 0 skipped\n")
    done = subprocess.run([os.path.join(TESTS, "run-all.py"), "--add", log], stdout=subprocess.PIPE, text=True)
    assert done.stdout.splitlines() == ["not ok a.b (1.0 s)", "    why", "1 flaky: a.d", "4 passed, 1 failed, 0 skipped"]
    assert done.returncode == 1
