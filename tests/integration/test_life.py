# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that stay: start, exec and the other verbs, the control socket, and every kind of end."""
import json
import os
import re
import select
import signal
import time

import cordon
from cordon import FAILED, Process, call, wait_until
from sandboxes import connect, cpu_ticks, descriptors, execute, executing, ps, real_time, registry, sandbox


# --- a session ------------------------------------------------------------------------------------

def test_a_session():
    with sandbox("box") as pid:
        call("start", "box").expect_error("box", "is running already", str(pid))
        result = execute("box", "sh", "-c", "printf 'out\\0\\377'; printf err >&2; exit 7")
        result.expect(7, b"out\0\xff", b"err")
        execute("box", "hostname").expect(0, b"box\n")
        execute("box", "sh", "-c", "echo kept > /tmp/file").expect(0)
        execute("box", "cat", "/tmp/file").expect(0, b"kept\n", b"")
        info = ps()["box"]
        assert info["state"] == "running" and info["cpus"] == 1 and info["jobs"] == [], info
        assert info["memory"] == 256 * cordon.MIB, info
        stats = json.loads(call("stats", "--json", "box").expect(0).stdout)
        assert stats["exits"] > 0 and stats["vsock_from_guest"] > 0, stats
        table = call("ps").expect(0).stdout
        assert re.search(rb"^box +running +%d " % pid, table, re.M), table
        call("logs", "box").expect(0)
        call("stop", "box").expect(0, b"", b"")
        assert ps() == {}                   # at once; the process may take a moment to end
        wait_until(lambda: not cordon.alive(pid), "the monitor's end")
        execute("box", "true").expect_error("box is not running", "cordon ps -a")
        assert not os.path.exists(registry("box"))


def test_names():
    for name in ("..", ".", "a/b", "-a", "_a", "", "x" * 49, "ä", "a b"):
        for verb in (["start", "--", name], ["stop", name], ["exec", "--", name, "true"]):
            result = call(*verb)
            assert result.status == FAILED and result.stderr.count(b"\n") == 1, repr(result)
    assert not os.path.exists(registry()) or os.listdir(registry()) == []


# --- time -----------------------------------------------------------------------------------------

def test_pause_and_resume():
    with sandbox() as pid:
        process = executing("box", "sh", "-c", "while :; do :; done")
        wait_until(lambda: ps()["box"]["jobs"], "the command")
        call("pause", "box").expect(0, b"", b"")
        assert ps()["box"]["state"] == "paused"
        call("pause", "box").expect(0)
        execute("box", "true").expect_error("paused")
        ticks = cpu_ticks(pid)
        time.sleep(2)
        assert cpu_ticks(pid) - ticks <= 3, "a paused sandbox computes"
        resumed = time.time()
        call("resume", "box").expect(0, b"", b"")
        call("resume", "box").expect(0, b"", b"")         # as a second pause
        seen, _before, after = real_time("box")         # in whole seconds
        assert resumed - 1 <= seen <= after + 1, (resumed, seen, after)
        process.signal(signal.SIGKILL)
        process.wait()
        # A stop while paused is graceful, too.
        call("pause", "box").expect(0)
        call("stop", "box").expect(0)


def clocks(name):
    """The guest's real time and uptime, each with the host's clocks before and after."""
    before = time.time(), time.monotonic()
    real, up = execute(name, "sh", "-c", "date +%s; cut -d' ' -f1 /proc/uptime").expect(0).stdout.split()
    after = time.time(), time.monotonic()
    return (int(real), before[0], after[0]), (float(up), before[1], after[1])


@cordon.limit(200)
def test_a_monitor_that_stood_still():
    """After a stop as by host sleep: both clocks are right, waiting commands go on, and no output comes in a burst."""
    with sandbox() as pid:
        ticks = executing("box", "sh", "-c", "while :; do echo tick; sleep 0.5; done")
        ticks.wait_output(b"tick\n")
        _real, (up, up_before, up_after) = clocks("box")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(20)                  # longer than the guest's kernel adds up second by second
        seen = len(ticks.output["stdout"])
        resumed = time.monotonic()
        os.kill(pid, signal.SIGCONT)
        (real, before, after), (later, later_before, later_after) = clocks("box")
        assert before - 2 <= real <= after + 2, (before, real, after)
        least, most = later_before - up_after, later_after - up_before
        assert least - 1 <= later - up <= most + 1, (least, later - up, most)
        ticks.wait_output(b"tick\n" * (seen // 5 + 2))
        new = len(ticks.output["stdout"]) // 5 - seen // 5
        assert new <= (time.monotonic() - resumed) / 0.5 + 2, new
        ticks.signal(signal.SIGKILL)
        ticks.wait()


def test_ps_shows_a_pause_under_way():
    """Until all processors stand still, ps shows the sandbox as pausing, neither running nor paused."""
    with sandbox() as pid:
        states = set()
        for _round in range(50):
            client = connect()
            os.kill(pid, signal.SIGSTOP)        # both requests are there when it looks
            client.send(json.dumps({"id": 1, "op": "pause"}).encode())
            client.send(json.dumps({"id": 2, "op": "info"}).encode())
            os.kill(pid, signal.SIGCONT)
            answers = [json.loads(client.recv(1 << 18)) for _i in range(2)]
            states |= {answer["state"] for answer in answers if "state" in answer}
            client.close()
            assert ps()["box"]["state"] == "paused"
            call("resume", "box").expect(0)
            if "pausing" in states:
                break
        assert "pausing" in states and states <= {"pausing", "paused"}, states


def test_limits():
    call("start", "--idle", "1s", "idle").expect(0)
    execute("idle", "sleep", "2").expect(0)         # busy for longer than the idle limit
    wait_until(lambda: "idle" not in ps(), "the end of an idle sandbox")
    call("start", "--wall", "2s", "wall").expect(0)
    wait_until(lambda: "wall" not in ps(), "the end of its time")
    ended = {item["name"]: item for item in json.loads(call("ps", "-a", "--json").expect(0).stdout)}
    for name in ("idle", "wall"):
        assert ended[name]["end"] == "time" and ended[name]["reason"] == f"the {name} time was over", ended
        call("wait", name).expect(0, b"", b"")


# --- ends -----------------------------------------------------------------------------------------

def test_stop_is_polite():
    with sandbox():
        trap = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 1; done"
        process = executing("box", "sh", "-c", trap)
        process.wait_output(b"ready\n")
        waiting = Process("wait", "box")
        call("stop", "box").expect(0)
        process.wait().expect(4, b"ready\nbye\n", b"")
        waiting.wait().expect(0, b"", b"")


def test_sigterm_to_the_monitor_is_stop():
    with sandbox() as pid:
        process = executing("box", "sh", "-c", "trap 'exit 4' TERM; echo ready; while :; do sleep 1; done")
        process.wait_output(b"ready\n")
        os.kill(pid, signal.SIGTERM)
        process.wait().expect(4)
        wait_until(lambda: not cordon.alive(pid), "its end")
        assert not os.path.exists(registry("box"))


def test_the_guest_switches_itself_off():
    with sandbox() as pid:
        waiting = Process("wait", "box")
        wait_until(lambda: descriptors(pid) > 0, "the monitor")
        time.sleep(0.3)
        execute("box", "poweroff", "-f")
        result = waiting.wait()
        assert result.status == FAILED and b"switched itself off" in result.stderr, repr(result)
        assert ps() == {}


def test_kill_9_of_the_monitor():
    """A monitor that was killed with -9 blocks nothing: each of the next commands removes what it left."""
    for verb in (["ps"], ["start", "box"], ["stop", "box"], ["exec", "box", "--", "true"]):
        call("start", "box").expect(0)
        pid = ps()["box"]["pid"]
        process = executing("box", "sh", "-c", "echo ready; sleep 1000")
        process.wait_output(b"ready\n")
        os.kill(pid, signal.SIGKILL)
        process.wait().expect(FAILED)
        wait_until(lambda: not cordon.alive(pid), "its end")
        assert os.path.exists(registry("box"))
        result = call(*verb)
        if verb[0] == "start":
            result.expect(0, b"", b"")
            execute("box", "echo", "new").expect(0, b"new\n")
            call("kill", "box").expect(0)
        elif verb[0] == "ps":
            assert result.expect(0).stdout.count(b"\n") == 1, repr(result)
        else:
            result.expect_error("box is not running", "cordon ps -a")
        assert not os.path.exists(registry("box"))


def test_a_monitor_that_hangs():
    with sandbox() as pid:
        os.kill(pid, signal.SIGSTOP)
        assert ps()["box"]["state"] == "hangs"
        assert b" open" in call("audit", "box").expect(0, stderr=b"").stdout
        call("why", "box").expect_error("nothing was denied")
        call("kill", "box").expect(0, b"", b"")
        assert not cordon.alive(pid) and ps() == {}
        assert not os.path.exists(registry("box"))


def test_a_start_that_is_given_up():
    """A sandbox that boots accepts no commands, and ends when the client that started it goes."""
    starter = Process("start", "--cold", "box")
    wait_until(lambda: ps().get("box", {}).get("state") == "starting", "the start")
    pid = ps()["box"]["pid"]
    execute("box", "true").expect_error("still starting")
    for verb in ("pause", "resume"):
        call(verb, "box").expect_error("still starting")
    call("snapshot", "--force", "box", cordon.scratch("x")).expect_error("still starting")
    call("start", "box").expect_error("box", "is running already")
    starter.signal(signal.SIGKILL)
    starter.wait()
    wait_until(lambda: not cordon.alive(pid), "the monitor's end")
    assert ps() == {} and not os.path.exists(registry("box"))


def test_start_reports_failures():
    call("start", "--kernel", "/nonexistent", "box").expect_error("/nonexistent")
    call("start", "--kernel", "/dev/null", "box").expect_error("box")
    call("start", "box", "more").expect_error("unexpected argument")
    call("start").expect_error("name")
    call("start", "--console", "box").expect_error("console")
    assert ps() == {} and os.listdir(registry()) == []


def test_nothing_of_the_callers_stays_open():
    """The monitor keeps no copy of a pipe that the caller of start holds."""
    read_fd, write_fd = os.pipe()
    os.set_inheritable(write_fd, True)
    import subprocess
    done = subprocess.run([cordon.PROGRAM, "start", "box"], pass_fds=[write_fd],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    os.close(write_fd)
    try:
        assert done.returncode == 0, done
        assert select.select([read_fd], [], [], 5)[0] and os.read(read_fd, 1) == b""
    finally:
        call("kill", "box").expect(0)


@cordon.limit(cordon.many(600, 7200))
def test_cycles_leave_nothing():
    """Twenty lives of one name (or a thousand) leave no file, mount or descriptor."""
    own = descriptors(os.getpid())
    with open("/proc/self/mountinfo") as mounts:
        before = mounts.read()
    for _round in range(cordon.many(20, 1000)):
        call("start", "box").expect(0, b"", b"")
        call("stop", "box").expect(0, b"", b"")
        assert os.listdir(registry()) == []
    with open("/proc/self/mountinfo") as mounts:
        assert mounts.read() == before
    wait_until(lambda: descriptors(os.getpid()) == own, "our own descriptors to be closed")


@cordon.limit(400)
def test_few_descriptors():
    """A guest opens all the files it can, under a low limit of descriptors: more than one client still gets in."""
    top = os.path.join(os.environ["CORDON_TEST_BASE"], "work", "top")
    os.makedirs(top)
    for number in range(200):
        with open(os.path.join(top, f"f{number}"), "w", encoding="ascii") as file:
            file.write("x")

    def limited(descriptors, *args):
        return call(*args, wrap=["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"])

    share = ["--share", f"{top}:/data:ro"]
    limited(100, "start", *share, "box").expect_error("ulimit -n", "100", "at least")
    limited(320, "start", *share, "box").expect(0, b"", b"")
    try:
        hog = Process("exec", "box", "--", "sh", "-c", "exec tail -f /data/*")
        hog.wait_output(b"open", stream="stderr")      # an open failed: the bound is reached
        clients = [Process("exec", "box", "--", "echo", str(number)) for number in range(4)]
        for number, client in enumerate(clients):
            client.wait().expect(0, b"%d\n" % number, b"")
        call("stats", "box").expect(0, None, b"")
        result = execute("box", "cat", "/data/f199")
        assert result.status == 1 and b"Too many open files" in result.stderr, repr(result)
        hog.signal(signal.SIGTERM)
        hog.wait()
        execute("box", "cat", "/data/f199").expect(0, b"x", b"")
    finally:
        call("kill", "box")


def test_rm():
    call("start", "box").expect(0)
    pid = ps()["box"]["pid"]
    call("rm", "box").expect_error("box", "runs")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cordon.alive(pid), "its end")
    call("rm", "never-there", "box").expect_error("never-there")
    assert os.listdir(registry()) == []
    call("rm", "..").expect_error("name")
