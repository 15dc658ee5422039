# SPDX-License-Identifier: Apache-2.0
"""The program behind `cordon bench`: signals, and directories of others; without a sandbox."""
import os
import signal
import subprocess
import sys
import threading
import types

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "bench"))
import main  # noqa: E402
from harness import context  # noqa: E402
from harness.model import Problem  # noqa: E402


def signalled(tmp_path, number, ignored):
    """Sends a signal while results are read from a pipe, and then closes it: (exit status, stderr)."""
    pipe = tmp_path / "results.json"
    os.mkfifo(pipe)
    argv = [sys.executable, "-EsB", os.path.join(TOP, "bench", "main.py"), "--read", str(pipe)]
    prepare = (lambda: signal.signal(number, signal.SIG_IGN)) if ignored else None
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=prepare) as process:
        with open(pipe, "wb"):          # waits until it is read
            process.send_signal(number)
            if not ignored:
                process.wait()
        return process.wait(), process.stderr.read().decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_file_is_read(tmp_path, number):
    assert signalled(tmp_path, number, ignored=False) == (128 + number, "")


def test_two_signals_at_once(capfd):
    before = [signal.getsignal(number) for number in main.SIGNALS]
    try:
        main.handle_signals(main.on_signal)
        with pytest.raises(main.Interrupted) as stop:
            signal.pthread_sigmask(signal.SIG_BLOCK, main.SIGNALS)
            # Not os.kill(): another thread of pytest's would take them at once.
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, main.SIGNALS)
            signal.pause()
        assert stop.value.status == 130 and capfd.readouterr().err == ""
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, main.SIGNALS)
        for number, handler in zip(main.SIGNALS, before):
            signal.signal(number, handler)


def test_nohup(tmp_path):
    status, text = signalled(tmp_path, signal.SIGHUP, ignored=True)
    assert status == main.FAILED and "not JSON" in text, text


def test_a_name_that_was_not_given_is_a_new_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main.time, "strftime", lambda _form: "taken")
    assert main.open_directory(types.SimpleNamespace(out=None)) == "taken"
    with pytest.raises(Problem, match="taken: File exists: give another directory with --out"):
        main.open_directory(types.SimpleNamespace(out=None))
    assert main.open_directory(types.SimpleNamespace(out="taken")) == "taken"


def test_a_directory_that_cannot_be_filled_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(context.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(context.ctypes, "CDLL", lambda _name: types.SimpleNamespace(prctl=lambda *_args: 0))

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(context.Bench, "make_directories", full)
    with pytest.raises(OSError):
        context.Bench("/bin/true", "/")
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(context.tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(Problem, match="no directory for temporary files: No such file or directory: set TMPDIR"):
        context.Bench("/bin/true", "/")


def options_of(*argv):
    return main.arguments(list(argv))


@pytest.mark.parametrize("argv, words", [
    (["--out="], "--out needs a value"), (["--compare="], "--compare needs a value"), (["--peers="], "--peers needs a value"),
    (["--read="], "--read needs a value"), (["--doc="], "--doc needs a value"),
    (["--read=x", "start"], "takes no suites"), (["--read=x", "--quick"], "takes no --quick"), (["--read=x", "--peers=qemu"], "takes no --peers"),
    (["--peers=none", "peers"], "nothing to measure"), (["--peers=none", "peers.linux"], "nothing to measure")])
def test_options_that_cannot_be_meant(argv, words):
    with pytest.raises(Problem, match=words):
        main.check_options(options_of(*argv))


@pytest.mark.parametrize("argv", [[], ["--quick", "--peers=none"], ["--peers=none", "peers", "start"], ["--read=x", "--compare=y", "--json", "--out=z"]])
def test_options_that_go_together(argv):
    main.check_options(options_of(*argv))


def test_a_document_is_checked_before_anything_is_measured(tmp_path, monkeypatch):
    bench = types.SimpleNamespace(problem="", host={"kvm": "hardware"}, close=lambda: None)
    before = [signal.getsignal(number) for number in main.SIGNALS]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "Bench", lambda *_args, **_keywords: bench)
    monkeypatch.setattr(main, "plan", lambda _bench, _options: [])
    try:
        with pytest.raises(main.results.BadResults, match="none.md: No such file"):
            main.measured_run(options_of("--doc=none.md"), "")
    finally:
        for number, handler in zip(main.SIGNALS, before):
            signal.signal(number, handler)
    assert os.listdir(tmp_path) == []
