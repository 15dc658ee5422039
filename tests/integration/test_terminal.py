# SPDX-License-Identifier: Apache-2.0
"""cordon run on a terminal: -t, and Ctrl-C with and without it."""
import ctypes
import os
import signal
import termios

from cordon import PROMPT, Terminal, call


def test_ctrl_c():
    """Without -t the host's terminal turns Ctrl-C into a signal, and the command gets that."""
    terminal = Terminal("run", "--", "sh", "-c", "echo ready; sleep 1000")
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    assert terminal.wait() == 130, terminal.output
    terminal.close()


def test_ctrl_c_is_handled_by_the_command():
    terminal = Terminal("run", "--", "sh", "-c",
                        'trap "echo caught; exit 5" INT; echo ready; while :; do sleep 1; done')
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    terminal.expect(b"caught")
    assert terminal.wait() == 5, terminal.output
    terminal.close()


def test_guest_terminal():
    terminal = Terminal("run", "-t", "-e", "PS1=" + PROMPT.decode(), "--", "sh", rows=33, columns=101)
    terminal.shell(b"tty; stty size; echo $((6*7))", end=b"\r")
    terminal.expect(b"/dev/pts/")
    terminal.expect(b"33 101")
    terminal.expect(b"42")
    assert not terminal.settings()[3] & (termios.ICANON | termios.ECHO), "the terminal is not raw"
    terminal.resize(40, 120)
    terminal.shell(b"sleep 1; stty size", end=b"\r")
    terminal.expect(b"40 120")
    terminal.shell(b"sh -c 'echo g''o; sleep 1000'", end=b"\r")
    terminal.expect(b"go\r\n")
    terminal.type(b"\x03")                  # for the guest's terminal, not for cordon
    terminal.shell(b"echo st$((1+1))ll here", end=b"\r")
    terminal.expect(b"st2ll here")
    terminal.shell(b"exit 9", end=b"\r")
    assert terminal.wait() == 9, terminal.output
    assert terminal.settings() == terminal.before, "the terminal's settings are not restored"
    terminal.close()


def test_terminal_is_restored_after_a_signal():
    terminal = Terminal("run", "-t", "--", "sh", "-c", "echo ready; sleep 1000")
    terminal.expect(b"ready")
    terminal.popen.terminate()
    assert terminal.wait() in (128 + 15, -15), terminal.output
    assert terminal.settings() == terminal.before, "the terminal's settings are not restored"
    terminal.close()


def test_terminal_is_restored_after_a_crash():
    """The terminal is restored after a crash of any thread; a vCPU's has its own set of signals."""
    for thread in (0, -1):
        terminal = Terminal("run", "-t", "--", "sh", "-c", "echo ready; sleep 1000")
        terminal.expect(b"ready")
        assert terminal.settings() != terminal.before, "the terminal is not raw"
        threads = own_threads(terminal.pid)
        assert len(threads) > 1, threads
        tgkill(terminal.pid, threads[thread], signal.SIGBUS)
        assert terminal.wait() == -signal.SIGBUS, terminal.output
        assert terminal.settings() == terminal.before, "the terminal's settings are not restored"
        terminal.close()
    call("ps").expect(0)                    # removes what the crashed ones left in the run directory


def own_threads(process):
    """The process's threads, without those that KVM has made in the kernel, which have other names."""
    def name(task):
        with open(f"/proc/{process}/{task}comm") as comm:
            return comm.read()
    tasks = sorted(int(task) for task in os.listdir(f"/proc/{process}/task"))
    return [task for task in tasks if name(f"task/{task}/") == name("")]


def tgkill(process, thread, number):
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(234, process, thread, number) == 0, os.strerror(ctypes.get_errno())


def test_terminal_wanted_but_none():
    for verb in (("run",), ("exec", "box")):
        call(*verb, "-t", "--", "cat", stdin=b"x\n").expect_error("standard input is not a terminal", "-t")
