# SPDX-License-Identifier: Apache-2.0
"""Limits of a policy: what a workload gets when it exceeds one, and that agent and other commands go on."""
import errno

import cordon
from cordon import call, limit, run, wait_until, write
from sandboxes import execute, executing, ps, sandbox


def policy(text, name="p"):
    return write(name, "policy 1\nlimit " + text + "\n")


def other_command():
    """A command that runs beside the one that exceeds a limit."""
    other = executing("box", "sh", "-c", "echo started; read line; echo $line")
    other.wait_output(b"started")
    return other


def still_alive(other):
    other.write(b"alive\n")
    other.wait().expect(0, b"started\nalive\n", b"")


def test_check_says_who_enforces_a_limit():
    path = policy("cpus=1.5 open-files=64 output=1M idle=5m:pause")
    shown = call("policy", "check", path).expect(0).stdout.decode()
    for line in ("host: limit cpus (rounded up to 2)", "guest: limit cpus (the share of them)", "host: limit idle",
                 "guest: limit open-files", "host: limit output"):
        assert f"{path}:2: {line}\n" in shown, (line, shown)
    for text, word in (("open-files=64", "open-files"), ("cpus=0.5", "cpus (a fraction)")):
        call("policy", "check", "--require", "host", policy(text)).expect_error("--require host", word)
    call("policy", "check", "--require", "host", policy("cpus=2 output=1M idle=5m")).expect(0)


def test_options_beyond_a_limit_are_errors():
    half = policy("cpus=0.5 idle=1m")
    run("true", options=["--policy", half, "--cpus", "0.75"]).expect_error("--cpus exceeds", f"{half}:2")
    run("true", options=["--cpus", "0.01"]).expect_error("--cpus", "not a number from 0.05 to 8")
    call("start", "--policy", half, "--idle", "1m:pause", "box").expect_error("--idle", "stops an idle sandbox")
    call("start", "--policy", half, "--idle", "2m", "box").expect_error("--idle exceeds")
    for text in ("cpus=0.5", "open-files=64"):
        call("run", "--policy", policy(text), "--kernel", "/dev/null").expect_error("needs cordon's agent")


# A cgroup namespace shows the sandbox's own cgroup at its top, to read. The mount stays for later commands.
CPU = "mount -t cgroup2 c /mnt 2>/dev/null; cat /mnt/cpu.max; "
OPEN = "cd /tmp; ulimit -n; ulimit -Hn; echo x | tee $(seq %d) >/dev/null && echo all"


@limit(600)
def test_open_files_and_a_share_of_the_processor():
    """Both hold for the first command, which a template has made ahead, and policy set changes them."""
    few, more = policy("open-files=20 cpus=0.5", "few"), policy("open-files=64", "more")
    with sandbox("box", "--policy", few):
        refused = execute("box", "sh", "-c", OPEN % 20).expect(1, b"20\n20\n")
        assert b"Too many open files" in refused.stderr, refused
        execute("box", "sh", "-c", "ulimit -n 21 2>/dev/null || echo no").expect(0, b"no\n")
        execute("box", "sh", "-c", OPEN % 14).expect(0, b"20\n20\nall\n", b"")
        # Also of a command with a terminal, which is made on the spot.
        terminal = cordon.Terminal("exec", "-t", "box", "--", "sh", "-c", "ulimit -Hn")
        terminal.expect(b"20\r\n")
        assert terminal.wait() == 0, terminal.output
        # It works for longer than its share of a period.
        busy = execute("box", "sh", "-c", CPU + "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; "
                       "grep nr_throttled /mnt/cpu.stat; echo max 2>/dev/null >/mnt/cpu.max || echo read-only")
        lines = busy.expect(0).stdout.decode().split("\n")
        assert lines[0] == "50000 100000" and int(lines[1].split()[1]) > 0 and lines[2] == "read-only", busy
        call("policy", "set", "box", more).expect(0)
        execute("box", "sh", "-c", CPU + OPEN % 20).expect(0, b"max 100000\n64\n64\nall\n")
        # A policy that is refused leaves them as they are.
        call("policy", "set", "box", write("late", "policy 1\nlimit open-files=128\nexec allow /**\n")
             ).expect_error("started without exec rules")
        execute("box", "sh", "-c", "ulimit -n").expect(0, b"64\n")
        call("policy", "set", "box", policy("cpus=0.25")).expect(0)
        execute("box", "sh", "-c", CPU + "ulimit -n").expect(0, b"25000 100000\n1024\n")
    run("sh", "-c", CPU, options=["--cpus", "0.75"]).expect(0, b"75000 100000\n")


@limit(600)
def test_output():
    """A command that writes more than the limit gets just that through, and ends with 137 and a line."""
    path = policy("output=100K")
    flood = run("yes", options=["--policy", path]).expect(137, b"y\n" * 51200)
    assert flood.stderr.count(b"\n") == 1 and b"limit of 102400 bytes (limit output)" in flood.stderr, flood
    with sandbox("box", "--policy", path):
        both = execute("box", "sh", "-c", "yes >&2 & exec yes").expect(137)
        written, message, _rest = both.stderr.partition(b"cordon: ")
        assert message and len(both.stdout) + len(written) == 102400, (len(both.stdout), both.stderr[-200:])
        execute("box", "head", "-c", "102400", "/dev/zero").expect(0, bytes(102400), b"")
        call("policy", "set", "box", policy("output=1M", "more")).expect(0)
        execute("box", "head", "-c", "102401", "/dev/zero").expect(0, bytes(102401), b"")


@limit(600)
def test_an_idle_sandbox_pauses():
    """The next command wakes it, and so does resume; a sandbox that an operator has paused stays paused."""
    def wait_idle():
        wait_until(lambda: ps()["box"]["state"] == "idle", "the sandbox to pause")

    with sandbox("box", "--idle", "10s:pause"):
        wait_idle()
        shown = call("top", "--once", "box").expect(0).stdout
        assert shown.startswith(b"box  idle ") and b"it goes on with the next command" in shown, shown
        assert ps()["box"]["state"] == "idle"
        execute("box", "echo", "awake").expect(0, b"awake\n", b"")
        wait_idle()
        call("resume", "box").expect(0, b"", b"")
        assert ps()["box"]["state"] == "running"
        call("resume", "box").expect(0)
        wait_idle()
        call("pause", "box").expect(0)
        execute("box", "true").expect_error("paused: resume it first")
        assert ps()["box"]["state"] == "paused"
        call("resume", "box").expect(0)
        # It is not idle while a command runs.
        execute("box", "sleep", "6").expect(0, b"", b"")
        call("policy", "set", "box", policy("idle=1m:pause")).expect(0)
        call("policy", "set", "box", policy("idle=1m")).expect_error("can't be made to stop")
        wait_idle()
        call("stop", "box").expect(0)


@limit(600)
def test_a_fork_bomb():
    """It gets as many processes as the policy allows; another command, and those after it, go on."""
    script = "trap 'kill -9 -$$' EXIT; %s; sleep 1; sleep 1; sleep 1; echo all"
    with sandbox("box", "--policy", policy("processes=30")):
        other = other_command()
        bomb = execute("box", "sh", "-c", script % "bomb(){ bomb | bomb & }; bomb")
        assert b"can't fork" in bomb.stderr, bomb
        still_alive(other)
        one = execute("box", "sh", "-c", script % "two(){ true | true & }; two")
        assert one.stdout == b"all\n" and b"fork" not in one.stderr, one


@limit(600)
def test_a_full_disk():
    """What fills the disk gets ENOSPC; another command goes on, and there is space again after a removal."""
    fill = "dd if=/dev/zero of=/big bs=64k 2>&1 | grep -o 'No space left on device'"
    with sandbox("box", "--policy", policy("disk=2M")):
        other = other_command()
        execute("box", "sh", "-c", fill).expect(0, b"No space left on device\n", b"")
        still_alive(other)
        execute("box", "sh", "-c", "rm /big; echo small >/small && cat /small").expect(0, b"small\n", b"")


@limit(600)
def test_zombies_count_as_processes():
    """A process that waits for none of its children has as many as it may have, no more; then the sandbox goes on."""
    path = policy("processes=11")
    script = "trap 'kill -9 -$$' EXIT; for i in 1 2 3 4 5 6 7; do (%s exec sleep 1000) & done; sleep 1; echo all"
    with sandbox("box", "--policy", path):
        refused = execute("box", "sh", "-c", script % "true &")
        assert b"can't fork" in refused.stderr, refused
        execute("box", "sh", "-c", "echo one; true | cat").expect(0, b"one\n", b"")
        allowed = execute("box", "sh", "-c", script % "")
        assert allowed.stdout == b"all\n" and b"fork" not in allowed.stderr, allowed


@limit(600)
def test_a_workload_that_kills_all_it_can_see():
    """It reaches commands of its own user; others, the agent and the console go on."""
    with sandbox("box"):
        other = other_command()
        execute("box", "sh", "-c", "kill -9 -1; kill -9 1; echo here",
                options=["--user", "nobody"]).expect(0, b"here\n")
        still_alive(other)
        # Sandbox root reaches every command, and no more.
        last = executing("box", "sh", "-c", "echo started; sleep 1000")
        last.wait_output(b"started")
        execute("box", "sh", "-c", "kill -9 -1; echo here").expect(0, b"here\n")
        last.wait().expect(137, b"started\n", b"")
        execute("box", "echo", "alive").expect(0, b"alive\n", b"")
        call("logs", "box").expect(0)


@limit(300)
def test_rings_of_packet_sockets():
    """They end where the guest's memory ends, for the process that makes them alone."""
    with open(cordon.program("calls"), "rb") as file:
        calls = file.read()
    with sandbox("box", "--memory", "96M"):
        execute("box", "sh", "-c", "cat >/tmp/calls && chmod 755 /tmp/calls", stdin=calls).expect(0)
        other = other_command()
        execute("box", "/tmp/calls", "rings").expect(errno.ENOMEM)
        still_alive(other)
