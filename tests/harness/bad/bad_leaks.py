# SPDX-License-Identifier: Apache-2.0
"""Tests that leave something, hang or die, and good ones that the same checks let pass."""
import os
import signal
import subprocess
import tempfile
import time

import pytest

BASE = "CORDON_TEST_BASE"
LONG = os.environ.get("BAD_TESTS_SLEEP", "1000")        # tells the processes of this run from those of another


def sleeper():
    return subprocess.Popen(["sleep", LONG])


def write(variable, *path):
    file = os.path.join(os.environ[variable], *path)
    os.makedirs(os.path.dirname(file), exist_ok=True)
    with open(file, "w", encoding="utf-8") as out:
        out.write("x")


def test_leaves_a_process():
    sleeper()


def test_leaves_a_daemon():
    """Two forks and its own session: the daemon's parent is gone when the test is over."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", LONG])
        os._exit(0)
    os.wait()


def test_leaves_a_process_that_ignores_signals():
    subprocess.Popen(["sh", "-c", 'trap "" TERM HUP INT; while :; do sleep 1; done', LONG], start_new_session=True)


def test_leaves_a_file_in_tmp():
    os.close(tempfile.mkstemp()[0])


def test_leaves_a_file_in_run():
    write("XDG_RUNTIME_DIR", "cordon", "box", "socket")


def test_leaves_half_a_record():
    write("XDG_STATE_HOME", "cordon", "box", "log")


def test_skips_and_leaves_a_process():
    sleeper()
    pytest.skip("lacks something")


@pytest.mark.timeout(10)
def test_hangs():
    sleeper()
    time.sleep(1000)


@pytest.mark.timeout(10)
def test_hangs_deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        time.sleep(1)


def test_fails():
    assert 1 + 1 == 3, "arithmetic"


def test_exits_without_a_verdict():
    os._exit(0)


def test_is_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def test_fails_the_first_time():
    with open(os.environ["BAD_TESTS_MARK"], "a+", encoding="utf-8") as mark:
        mark.seek(0)
        tries = len(mark.read())
        mark.write("x")
    assert tries > 0


# --- good ones -------------------------------------------------------------------------------------

def test_good_ends_what_it_started():
    process = sleeper()
    process.kill()
    process.wait()
    write("XDG_STATE_HOME", "cordon", "box", "record.json")


def test_good_leaves_a_process_that_ends_soon():
    subprocess.Popen(["sleep", "0.2"])


def test_good_skip():
    pytest.skip("lacks something")


def test_good_has_its_own_directories():
    base = os.environ[BASE]
    assert os.getcwd() == os.path.join(base, "work")
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == os.path.join(base, "tmp")
    assert os.environ["XDG_RUNTIME_DIR"] == os.path.join(base, "run")
    assert os.environ["XDG_STATE_HOME"] == os.path.join(base, "state")
    assert os.getsid(0) == os.getpid()
    assert os.read(0, 1) == b""


def spoil():
    """Change what a process shares with its later tests; fail if an earlier test has."""
    assert "SPOILT" not in os.environ and os.umask(0o777) != 0o777
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    os.environ["SPOILT"] = "1"
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    os.chdir("/")


def test_good_spoils_its_process():
    spoil()


def test_good_spoils_its_process_too():
    spoil()
