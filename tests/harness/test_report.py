# SPDX-License-Identifier: Apache-2.0
"""The report of the Python tests (tests/conftest.py): verdicts, second tries, the last lines."""
import os
import subprocess
import sys

import pytest
from runs import HERE, NAME, run_bad


@pytest.mark.parametrize("workers", [0, 2])
def test_a_test_that_passes_alone_is_flaky(workers, tmp_path):
    status, lines = run_bad("fails_the_first_time", "good_skip", workers=workers,
                            env={"BAD_TESTS_MARK": str(tmp_path / "mark")})
    name = NAME + "fails_the_first_time"
    assert status == 0, lines
    assert any(line.startswith(f"not ok {name} (") for line in lines), lines
    assert lines[-3:] == [f"flaky {name}: failed above, passes alone", f"1 flaky: {name}",
                          "1 passed, 0 failed, 1 skipped"], lines


def test_a_test_that_fails_twice_has_failed():
    status, lines = run_bad("fails", "good_skip")
    assert status == 1, lines
    assert f"not ok {NAME}fails, also alone" in lines, lines
    assert not any("flaky" in line for line in lines), lines
    assert lines[-1] == "0 passed, 1 failed, 1 skipped", lines


def test_many_failures_are_no_accident(tmp_path):
    status, lines = run_bad("fails", "is_killed", "leaves_half_a_record", "fails_the_first_time",
                            env={"BAD_TESTS_MARK": str(tmp_path / "mark")})
    assert status == 1, lines
    assert not any("alone" in line for line in lines), lines
    assert lines[-1] == "0 passed, 4 failed, 0 skipped", lines


def python_tests(directory, **files):
    """Run pytest with our report over new files. Returns (status, lines)."""
    for name, text in files.items():
        (directory / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.path.join(HERE, "..", "pytest.ini"), "--rootdir", directory,
         "-p", "conftest", directory], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": os.path.dirname(HERE)}, text=True, cwd=directory)
    return done.returncode, list(filter(None, done.stdout.splitlines()))


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path):
    status, lines = python_tests(tmp_path, test_good="def test_x(): pass", test_broken="import nothing_like_it")
    assert status not in (0, 5), lines
    assert any(line.startswith("not ok test_broken.py: not collected") for line in lines), lines
    assert lines[-1].split(", ")[1] == "1 failed", lines


def test_a_worker_that_dies_is_a_failure(tmp_path):
    status, lines = python_tests(tmp_path, test_dies="import os\ndef test_x(): os._exit(3)\ndef test_y(): pass")
    assert status == 1, lines
    assert any(line.startswith("not ok dies.x") for line in lines), lines
    assert lines[-1] == "1 passed, 1 failed, 0 skipped", lines


def test_a_teardown_that_fails_makes_one_failure(tmp_path):
    status, lines = python_tests(tmp_path, test_end="import pytest\n@pytest.fixture\ndef f():\n    yield\n"
                                                    "    assert not 'late'\ndef test_x(f): pass")
    assert status == 1 and lines[-1] == "0 passed, 1 failed, 0 skipped", lines
