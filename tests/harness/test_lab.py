# SPDX-License-Identifier: Apache-2.0
"""How the lab (tests/lab/run-tests.py) judges groups of tests, with a shell script as the emulated machine."""
import importlib.util
import os
import subprocess

import pytest
from runs import HERE

RUN_TESTS = os.path.join(HERE, "..", "lab", "run-tests.py")
DIES = 'echo "lab: L1 ended without a status (QEMU: 0); its console said last:"; exit 125'
GOOD = 'echo "ok a.x (1 s)"; echo "2 passed, 0 failed, 1 skipped"; exit 0'


def run_tests():
    spec = importlib.util.spec_from_file_location("run_tests", RUN_TESTS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lab(tmp_path, capfd, groups, **scripts):
    """Run groups; a machine started for GROUP runs scripts[GROUP], with $try. Returns (status, lines, tries)."""
    cases = "\n".join(f"*test_{group}.py*|*lab/{group}*) {script};;" for group, script in scripts.items())
    machine = tmp_path / "machine"
    machine.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/tries\ntry=$(grep -cxF -- "$*" {tmp_path}/tries)\n'
                       f'case "$*" in\n{cases}\nesac\n')
    machine.chmod(0o755)
    status = run_tests().run_groups(groups, str(machine), [], 60)
    return status, capfd.readouterr().out.splitlines(), len((tmp_path / "tries").read_text().splitlines())


def test_groups_have_machines_of_their_own_and_are_added_up(tmp_path, capfd):
    status, lines, tries = lab(tmp_path, capfd, ["kvmcheck", "run", "usage"], kvmcheck="exit 0", run=GOOD, usage=GOOD)
    assert (status, lines[-1], tries) == (0, "5 passed, 0 failed, 2 skipped", 3), lines
    assert {"ok lab.kvmcheck: finished", "ok lab.run: finished", "ok lab.usage: finished"} <= set(lines)


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_machine_that_dies_is_started_again(tmp_path, capfd, deaths):
    """A machine that dies is started again, and what it had counted does not count."""
    script = f'[ $try -gt {deaths} ] || {{ echo "9 passed, 9 failed, 9 skipped"; {DIES}; }}; {GOOD}'
    status, lines, tries = lab(tmp_path, capfd, ["run", "usage"], run=script, usage=GOOD)
    assert (status, lines[-1], tries) == (0, "4 passed, 0 failed, 2 skipped", 2 + deaths), lines
    assert f"lab: run: the machine died (try {deaths} of 3)" in lines


def test_a_group_that_never_finishes_is_not_run(tmp_path, capfd):
    """A group that never finishes is named and skipped, the next one runs, and a strict run fails."""
    status, lines, tries = lab(tmp_path, capfd, ["run", "usage"], run=DIES, usage=GOOD)
    assert status == 0 and tries == 4, lines
    assert lines[-2:] == ["1 not run: lab.run", "2 passed, 0 failed, 2 skipped"], lines
    log = tmp_path / "log"
    log.write_text("\n".join(lines) + "\n")
    run_all = os.path.join(HERE, "..", "run-all.py")
    assert subprocess.run([run_all, "--add", log], stdout=subprocess.DEVNULL).returncode == 0
    assert subprocess.run([run_all, "--strict", "--add", log], stdout=subprocess.DEVNULL).returncode == 1


@pytest.mark.parametrize("script, last", [
    ('echo "not ok a.x"; echo "1 passed, 2 failed, 0 skipped"; exit 1', "1 passed, 2 failed, 0 skipped"),
    ("exit 124", "0 passed, 1 failed, 0 skipped"),
    ("echo lab: qemu-system-x86_64 is missing; exit 125", "0 passed, 1 failed, 0 skipped"),
    ("exit 0", "0 passed, 1 failed, 0 skipped"),
    ('echo "1 passed, 0 failed, 0 skipped"; exit 3', "1 passed, 1 failed, 0 skipped"),
], ids=["failed tests", "time limit", "no QEMU", "no sum", "status without a failed test"])
def test_failures_in_a_living_machine_are_failures_at_once(tmp_path, capfd, script, last):
    status, lines, tries = lab(tmp_path, capfd, ["run"], run=script)
    assert (status, lines[-1], tries) == (1, last, 1), lines


def test_kvmcheck_that_fails_is_a_failure(tmp_path, capfd):
    status, lines, _tries = lab(tmp_path, capfd, ["kvmcheck"], kvmcheck="exit 1")
    assert (status, lines[-1]) == (1, "0 passed, 1 failed, 0 skipped"), lines


def test_unknown_groups_are_refused():
    done = subprocess.run([RUN_TESTS, "nothing-like-it"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and "no group nothing-like-it" in done.stderr, done
