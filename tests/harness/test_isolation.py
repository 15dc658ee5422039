# SPDX-License-Identifier: Apache-2.0
"""The isolation of a test (tests/isolation.py) finds each kind of leak and lets good tests pass."""
import glob
import os
import signal
import subprocess
import tempfile
import time

import pytest
from runs import ENV, HERE, SLEEP, command, left_processes, run_bad, verdicts

FAILURES = {
    "leaves_a_process": f"left running: ['sleep {SLEEP} ']",
    "leaves_a_daemon": f"left running: ['sleep {SLEEP} ']",
    "leaves_a_process_that_ignores_signals": "left running: ['sh -c trap",
    "leaves_a_file_in_tmp": "left in tmp: ['tmp",
    "leaves_a_file_in_run": "left in run: ['cordon/box/socket']",
    "leaves_half_a_record": "left in state: box",
    "skips_and_leaves_a_process": f"left running: ['sleep {SLEEP} ']",
    "hangs": "hangs: Timeout >1.0s; running: ['",
    "hangs_deaf": "hangs: Timeout >1.0s; running: ['",
    "fails": "AssertionError: arithmetic",
    "exits_without_a_verdict": "the test's process ended with 0",
    "is_killed": "the test's process ended with -9",
    "fails_the_first_time": "assert tries > 0",
}


@pytest.mark.parametrize("workers", [0, 2])
def test_each_leak_is_a_failure_of_its_own_test(workers, tmp_path):
    status, lines = run_bad(workers=workers, env={"BAD_TESTS_MARK": str(tmp_path / "mark")})
    found = verdicts(lines)
    good = [name for name in found if name.startswith("good_")]
    for name, text in FAILURES.items():
        assert found[name][0] == "not ok" and text in found[name][1], (name, lines)
    for name in good:
        assert found[name][0] == ("skip" if name == "good_skip" else "ok"), (name, lines)
    assert len(found) == len(FAILURES) + len(good) and len(good) == 6, lines
    assert status == 1 and lines[-1] == f"5 passed, {len(FAILURES)} failed, 1 skipped", lines
    assert left_processes() == []


@pytest.mark.parametrize("workers, number", [
    (0, signal.SIGINT), (0, signal.SIGTERM), (2, signal.SIGINT), (2, signal.SIGTERM), (2, signal.SIGKILL)])
def test_an_ended_run_ends_its_tests(workers, number, tmp_path):
    """No process of a test outlives pytest; directories stay only where pytest itself is killed."""
    temporary = tempfile.mkdtemp(dir=tmp_path)
    # A shell starts its background jobs with SIGINT ignored, and so perhaps this run.
    run = subprocess.Popen(command("hangs", workers=workers), cwd=HERE, stdin=subprocess.DEVNULL,
                           preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                           env={**ENV, "CORDON_TEST_SCALE": "100", "TMPDIR": temporary},
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not left_processes():
        time.sleep(0.05)
    run.send_signal(number)
    output = run.communicate()[0]
    deadline = time.monotonic() + 30
    while left_processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left_processes() == []
    if number != signal.SIGKILL:
        assert run.returncode == 2 and "interrupted" in output, output
        assert glob.glob(os.path.join(temporary, "cordon-test.*")) == []
