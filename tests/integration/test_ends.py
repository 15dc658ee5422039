# SPDX-License-Identifier: Apache-2.0
"""Every way in which a sandbox ends. tests/isolation.py checks after each test that nothing is left."""
import os
import signal

import cordon
from cordon import alive, start, wait_until


def running(**keywords):
    process = start("sh", "-c", "echo ready; sleep 1000", **keywords)
    process.wait_output(b"ready")
    return process


def test_signals():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        process = running()
        process.signal(number)
        result = process.wait()
        assert result.status == 128 + number, repr(result)


def test_signal_that_the_command_ignores():
    """After a while the sandbox is stopped, and the exit status is that of the signal all the same."""
    process = start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
    process.wait_output(b"ready")
    process.signal(signal.SIGTERM)
    result = process.wait()
    result.expect(128 + signal.SIGTERM, b"ready\n", b"cordon: warning: the command did not end: the sandbox is stopped\n")


def test_signal_during_boot():
    process = start("sleep", "1000")
    wait_until(lambda: os.path.exists(f"/proc/{process.pid}/fd")
               and cordon.has_vm(process.pid), "a VM", 30)
    process.signal(signal.SIGTERM)
    result = process.wait()
    assert result.status == 128 + signal.SIGTERM, repr(result)


def test_killed_monitor():
    process = running()
    process.signal(signal.SIGKILL)
    assert process.wait().status == -9
    cordon.call("ps").expect(0)             # removes what it left


def test_killed_monitor_does_not_stop_the_next():
    process = running()
    process.signal(signal.SIGKILL)
    process.wait()
    cordon.run("echo", "next").expect(0, b"next\n", b"")
    cordon.call("ps").expect(0)


def child_of_a_shell(*options):
    """A shell with a run in its background: the shell's Process, once the command runs."""
    script = '"$@" </dev/null & echo $!; read line'
    shell = cordon.Process("-c", script, "sh", cordon.PROGRAM, "run", *options, "--", "sh", "-c",
                           "echo ready; sleep 1000", program="/bin/sh")
    shell.wait_output(b"ready")
    return shell, int(bytes(shell.output["stdout"]).split()[0])


def test_parent_dies():
    """A script that ends, or is killed, takes its sandbox with it, and one line says so and what changes it."""
    for end in ("exit", "kill"):
        shell, monitor = child_of_a_shell()
        assert alive(monitor)
        if end == "kill":
            shell.signal(signal.SIGKILL)
        else:
            shell.write(b"\n")
        wait_until(lambda monitor=monitor: not alive(monitor), "the monitor's end after its parent's", 30)
        said = shell.wait().stderr
        assert said == (b"cordon: warning: the process that started this run has ended, and with it the run: see "
                        b"--outlive-parent\n"), said
        assert b"the process that started it has ended" in cordon.call("ps", "-a").expect(0).stdout


def test_a_run_that_outlives_its_parent():
    """The twins: an option, and a shell's nohup, keep it."""
    for options, wrap in ((["--outlive-parent"], []), ([], ["nohup"])):
        script = '"$@" </dev/null & read line'
        shell = cordon.Process("-c", script, "sh", *wrap, cordon.PROGRAM, "run", *options, "--name", "kept", "--", "sh",
                               "-c", "echo ready; sleep 1000", program="/bin/sh")
        shell.wait_output(b"ready")
        shell.write(b"\n")
        wait_until(lambda shell=shell: shell.poll() is not None, "the shell's end", 30)
        cordon.call("exec", "kept", "--", "echo", "here").expect(0, b"here\n", b"")
        cordon.call("kill", "kept").expect(0)
        assert b"has ended, and with it" not in shell.result().stderr


def test_background_processes_of_the_command():
    """The sandbox ends with its command, even if that leaves background processes."""
    cordon.run("sh", "-c", "sleep 1000 & sleep 1000 >/dev/null 2>&1 & echo over").expect(
        0, b"over\n", b"")
