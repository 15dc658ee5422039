# SPDX-License-Identifier: Apache-2.0
"""Guests that crash, leave, stop or lie: Cordon says which it was and ends with 125."""
import itertools
import os
import signal
import time

import cordon
import forge
from cordon import run, scratch
from initramfs import cpio
from sandboxes import execute, executing, sandbox


def forged(code, options=()):
    """`cordon run` with a kernel of a few instructions and no agent."""
    return run("true", options=["--kernel", forge.kernel(code), "--memory", "64M", *options])


def start_forged(code, options=(), **keywords):
    return cordon.start("true", options=["--kernel", forge.kernel(code), "--memory", "64M", *options],
                        **keywords)


initrds = itertools.count()


def start_guest(mode, options=()):
    """`cordon run` with our kernel and programs/init.c as the first process."""
    with open(cordon.program("init"), "rb") as init:
        archive = cpio({"init": (0o755, init.read()), "mode": (0o644, mode.encode())})
    # Each has a file of its own: one that still starts may not have read the last one's.
    name = f"initrd-{next(initrds)}"
    return cordon.start("true", options=["--initrd", scratch(name, archive), *options])


def guest(mode, options=()):
    return start_guest(mode, options).wait()


def test_tiny_guest_powers_off():
    forged(forge.POWER_OFF).expect_error("off", lines=None)


def test_tiny_guest_resets():
    forged(forge.RESET).expect_error("reset", lines=None)


def test_tiny_guest_crashes():
    """A triple fault is reported with the processor's state, which KVM on AMD has reset by then."""
    result = forged(forge.CRASH).expect_error("triple fault", "rip", lines=None)
    if "svm" not in cordon.CPU_FLAGS:
        assert b"1000000" in result.stderr, repr(result)


def test_tiny_guest_halts():
    """A guest that halts with interrupts off, and so can never go on, is recognized though KVM does not report it."""
    forged(forge.HALT).expect_error("halt", lines=None)


def test_tiny_guest_panics():
    """A panic shows the last console lines, with control characters made harmless."""
    result = forged(forge.say("early words\n\x1b[2Jpainted\n"
                              "Kernel panic - not syncing: forged\n") + forge.HALT)
    result.expect_error("panic", lines=None)
    assert b"early words" in result.stderr and b"not syncing: forged" in result.stderr, repr(result)
    assert b"\x1b" not in result.stderr and b"painted" in result.stderr, repr(result)


def test_switched_off_from_inside():
    """A command, alone or beside others, switches off or resets the guest: the sandbox ends, and one line says so."""
    for command in (["poweroff", "-f"], ["sh", "-c", "sleep 1000 & poweroff -f; sleep 1000"]):
        run(*command).expect_error("the guest switched itself off")
    run("reboot", "-f").expect_error("the guest reset itself")


@cordon.limit(400)
def test_tiny_guest_sleeps():
    """A guest whose agent never connects: after a while Cordon gives up and shows the console."""
    result = forged(forge.say("so far\n") + forge.SLEEP)
    result.expect_error("agent", lines=None)
    assert b"so far" in result.stderr, repr(result)


def test_tiny_guest_spins():
    """A guest that only computes does not keep Cordon from ending."""
    process = start_forged(forge.SPIN)
    time.sleep(2)
    assert process.poll() is None, f"ended by itself: {process.result()!r}"
    process.signal(signal.SIGTERM)
    assert process.wait().status == 128 + signal.SIGTERM, repr(process.result())


def test_tiny_guest_floods_the_console():
    """Endless output on the serial port is bounded, shown or not."""
    flood = b"\x66\xba\xf8\x03" b"\xb0\x41" b"\xee" b"\xeb\xfd"    # mov dx,3f8; mov al,'A'; out; jmp
    for options in ([], ["--console"]):
        read_fd, write_fd = os.pipe()       # not read until the end
        process = start_forged(flood, options=options, stderr=write_fd)
        os.close(write_fd)
        time.sleep(5)
        assert process.poll() is None, f"ended by itself: {process.result()!r}"
        process.signal(signal.SIGTERM)
        result = process.wait()
        assert result.status == 128 + signal.SIGTERM, repr(result)
        assert result.private < 24 * 1024, f"{result.private} KiB private"
        if options:
            assert os.read(read_fd, 100) == b"A" * 100
        os.close(read_fd)


def test_panic():
    """A real kernel without a first process: the panic is reported."""
    result = run("true", options=["--cmdline-append", "rdinit=/nonexistent init=/nonexistent"])
    result.expect_error("panic", lines=None)
    assert b"Kernel panic - not syncing" in result.stderr, repr(result)


def test_first_process_exits():
    result = guest("exit").expect_error("panic", lines=None)
    assert b"Attempted to kill init" in result.stderr, repr(result)


def test_guest_reboots():
    guest("reboot").expect_error("reset", lines=None)


def test_guest_powers_off():
    guest("poweroff").expect_error("off", lines=None)


def test_guest_halts():
    guest("halt").expect_error("halt", lines=None)


def test_agent_of_another_version():
    guest("version").expect_error("version", lines=None)


def test_agent_talks_garbage():
    guest("garbage").expect_error("agent", lines=None)


def test_agent_vanishes():
    guest("vanish").expect_error("agent", lines=None)


@cordon.limit(400)
def test_agents_that_are_none():
    """An agent that greets, but neither takes part in making a template nor starts the command. And only guest root can
    be the agent: a connection from an unprivileged port is ignored. One test, since all wait."""
    waiting, unprivileged = start_guest("silent"), start_guest("unprivileged")
    started = start_guest("silent", ["--cold", "--timeout", "1s"])
    started.wait().expect(cordon.TIMED_OUT, b"")
    waiting.wait().expect_error("agent", lines=None)
    unprivileged.wait().expect_error("agent", lines=None)


def test_fork_bomb():
    """A workload that takes all it can get ends alone; the agent still replies."""
    result = run("sh", "-c", 'bomb(){ bomb | bomb & }; bomb 2>/dev/null; sleep 2; echo alive; kill -9 -1',
                 options=["--timeout", "120s"])
    assert result.status in (0, 128 + 9, 2), repr(result)


@cordon.limit(900)
def test_workload_eats_memory():
    """A command that fills the guest's memory ends alone, with 137 and a line that says why."""
    with sandbox("box", *cordon.small_guest("128M")):
        other = executing("box", "sh", "-c", "echo started; read line; echo $line")
        other.wait_output(b"started")
        hog = execute("box", "sh", "-c", f"exec {cordon.EAT_MEMORY}").expect(137, b"")
        assert hog.stderr.startswith(b"cordon: out of memory: ") and hog.stderr.count(b"\n") == 1, repr(hog)
        # What is killed otherwise gets no such line, nor does what fits.
        execute("box", "sh", "-c", "kill -9 $$").expect(137, b"", b"")
        execute("box", "sh", "-c", "head -c 4194304 /dev/zero | tail -c 4194304 | wc -c").expect(0, b"4194304\n", b"")
        other.write(b"alive\n")
        other.wait().expect(0, b"started\nalive\n", b"")


def test_workload_cannot_kill_the_agent():
    result = run("sh", "-c", "kill -9 1; kill -TERM 1; kill -INT 1; sleep 1; echo here")
    assert result.status == 0 and result.stdout == b"here\n", repr(result)
