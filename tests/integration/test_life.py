# SPDX-License-Identifier: Apache-2.0
"""Sandboxes that stay: start, exec and the other verbs, the control socket, and every kind of end."""
import contextlib
import json
import os
import re
import select
import signal
import socket
import time

import cordon
from cordon import FAILED, TIMED_OUT, Process, Terminal, call, wait_until

PROTOCOL = 1


def registry(name="", file=""):
    return os.path.join(os.environ["XDG_RUNTIME_DIR"], "cordon", name, file)


def ps():
    return {item["name"]: item for item in json.loads(call("ps", "--json").expect(0).stdout)}


@contextlib.contextmanager
def sandbox(name="box", *options):
    """A started sandbox; its monitor's process id. Killed afterwards if it is still there."""
    call("start", *options, name).expect(0, b"", b"")
    try:
        yield ps()[name]["pid"]
    finally:
        call("kill", name)


def execute(name, *command, options=(), **keywords):
    return call("exec", *options, name, "--", *command, **keywords)


def executing(name, *command, options=(), **keywords):
    return Process("exec", *options, name, "--", *command, **keywords)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptors_at_rest(pid):
    """When the last client is closed at its end too: it may have gone a moment before."""
    counts = []
    for _i in range(20):
        counts.append(descriptors(pid))
        time.sleep(0.05)
    return min(counts)


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def connect(name="box", patience=60):
    """A raw connection, past the greeting."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(patience * cordon.TIME_SCALE)
    client.connect(registry(name, "control.sock"))
    greeting = json.loads(client.recv(1 << 17))
    assert greeting["protocol"] == PROTOCOL and greeting["sandbox"] == name, greeting
    return client


def ask(client, **request):
    client.send(json.dumps(request).encode())
    return json.loads(client.recv(1 << 18))


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
        assert ps() == {}                   # at once; the process may take a moment
        wait_until(lambda: not cordon.alive(pid), "the monitor's end")
        execute("box", "true").expect_error("box is not running", "cordon ps -a")
        assert not os.path.exists(registry("box"))


def test_names():
    for name in ("..", ".", "a/b", "-a", "_a", "", "x" * 49, "ä", "a b"):
        for verb in (["start", "--", name], ["stop", name], ["exec", "--", name, "true"]):
            result = call(*verb)
            assert result.status == FAILED and result.stderr.count(b"\n") == 1, repr(result)
    assert not os.path.exists(registry()) or os.listdir(registry()) == []


# --- exec -----------------------------------------------------------------------------------------

def test_exec_options():
    with sandbox():
        script = 'printf "%s|%s|%s|" "$A" "$B" "$SECRET_OF_THE_HOST"; pwd; id -un'
        execute("box", "sh", "-c", script, options=["-e", "A=1 2", "-e", "B", "-w", "/tmp"],
                env={"SECRET_OF_THE_HOST": "leaked", "B": "passed"}).expect(
                    0, b"1 2|passed||/tmp\nroot\n", b"")
        execute("box", "id", "-u", options=["-u", "nobody"]).expect(0, b"65534\n", b"")
        execute("box", "true", options=["-u", "noone"]).expect_error("noone")
        execute("box", "no-such-command").expect(127, b"")
        execute("box", "/proc/version").expect(126, b"")
        execute("box", "sh", "-c", "kill -TERM $$").expect(128 + 15, b"", b"")
        execute("box", "sleep", "1000", options=["-T", "1"]).expect(TIMED_OUT, b"")
        data = cordon.pattern(300000)
        execute("box", "cat", stdin=data).expect(0, data, b"")
        execute("box", "cat", stdin=b"").expect(0, b"", b"")
        execute("box", "sh", "-c", 'printf %s "$1" | wc -c', "sh", "x" * 90000).expect(0, b"90000\n")
        execute("box", "true", "x" * 70000, "y" * 70000).expect_error("longer")


def test_exec_with_closed_streams():
    with sandbox():
        for fd, status in ((0, 0), (1, 128 + 13), (2, 128 + 13)):
            wrap = ["sh", "-c", f'exec "$@" {fd}{"<" if fd == 0 else ">"}&-', "sh"]
            result = execute("box", "sh", "-c", "cat; echo out; echo err >&2; sleep 5", wrap=wrap)
            assert result.status == status, repr(result)    # as if the reader were gone
        execute("box", "echo", "still").expect(0, b"still\n")


def test_exec_signals():
    with sandbox():
        trap = "trap 'echo got; exit 3' INT; echo ready; while :; do sleep 1; done"
        process = executing("box", "sh", "-c", trap)
        process.wait_output(b"ready\n")
        process.signal(signal.SIGINT)
        process.wait().expect(3, b"ready\ngot\n", b"")
        process = executing("box", "sh", "-c", "echo ready; sleep 1000")
        process.wait_output(b"ready\n")
        process.signal(signal.SIGTERM)
        process.wait().expect(128 + 15)


def test_exec_on_a_terminal():
    with sandbox():
        terminal = Terminal("exec", "-t", "-e", "PS1=" + cordon.PROMPT.decode(), "box", "--", "sh",
                            rows=30, columns=91)
        terminal.shell(b"stty size; tty; echo $((6*7))")
        terminal.expect(b"30 91")
        terminal.expect(b"/dev/pts/")
        terminal.expect(b"42")
        terminal.resize(20, 55)
        os.kill(terminal.pid, signal.SIGWINCH)
        terminal.shell(b"sleep 1; stty size")
        terminal.expect(b"20 55")
        terminal.shell(b"echo g''o; cat")
        terminal.expect(b"go\r\n")          # from here on the shell does not read
        terminal.type(b"echoed\n")
        terminal.expect(b"echoed")          # by the terminal
        terminal.expect(b"echoed")          # by cat
        terminal.type(b"\x03")              # to cat, not to us
        terminal.shell(b"echo status $?; exit 5")
        terminal.expect(b"status 130")
        assert terminal.wait() == 5, terminal.output
        assert terminal.settings() == terminal.before, "the terminal is left in raw mode"
        terminal.close()


def test_exec_typed_input_without_a_terminal_in_the_guest():
    """Typed lines reach the command, and ^D ends its input, also when only stdin is a terminal."""
    with sandbox():
        terminal = Terminal("exec", "box", "--", "sh", "-c", "cat; echo end")
        time.sleep(0.5)
        terminal.type(b"one\n")
        terminal.expect(b"one\r\none")
        terminal.type(b"\x04")
        terminal.expect(b"end")
        assert terminal.wait() == 0
        terminal.close()


def test_exec_detached():
    with sandbox():
        script = "echo out; echo err >&2; read x < /tmp/go; echo later; exit 9"
        execute("box", "mkfifo", "/tmp/go").expect(0)
        number = int(execute("box", "sh", "-c", script, options=["-d"]).expect(0).stdout)
        wait_until(lambda: call("logs", "box", str(number)).stdout == b"out\n", "the first output")
        jobs = ps()["box"]["jobs"]
        assert [(job["job"], job["detached"]) for job in jobs] == [(number, True)], jobs
        execute("box", "sh", "-c", "echo > /tmp/go").expect(0)
        wait_until(lambda: ps()["box"]["ended"], "its end")
        assert ps()["box"]["ended"][0]["status"] == 9
        call("logs", "box", str(number)).expect(0, b"out\nlater\n", b"err\n")
        call("logs", "box", "77").expect_error("77")
        # What is kept is bounded, and the command does not notice.
        big = "yes 0123456789abcde | head -c 3000000; echo $? > /tmp/status"
        number = int(execute("box", "sh", "-c", big, options=["-d"]).expect(0).stdout)
        wait_until(lambda: not ps()["box"]["jobs"], "its end")
        kept = call("logs", "box", str(number)).expect(0).stdout
        assert len(kept) == cordon.MIB and set(kept.split()) == {b"0123456789abcde"}, len(kept)
        execute("box", "cat", "/tmp/status").expect(0, b"0\n")


@cordon.limit(cordon.many(400, 3600))
def test_outputs_are_never_mixed():
    """Several sandboxes, several commands at once in each: every byte goes where it belongs."""
    names = [f"box{i}" for i in range(cordon.many(3, 20))]
    commands = cordon.many(4, 5)
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(sandbox(name))
        processes = []
        for name in names:
            for number in range(commands):
                word = f"{name}{number}"
                script = (f"i=0; while [ $i -lt 60 ]; do echo {word} $i; echo {word} $i >&2; "
                          f"i=$((i+1)); done; cat; exit {number}")
                process = executing(name, "sh", "-c", script)
                process.feed(word.encode() * 5000)
                processes.append((process, word, number))
        for process, word, number in processes:
            lines = b"".join(b"%s %d\n" % (word.encode(), i) for i in range(60))
            process.wait().expect(number, lines + word.encode() * 5000, lines)


def test_a_reader_that_stops():
    """A gigabyte that nobody reads: the command waits, the monitor keeps little, others go on."""
    with sandbox() as pid:
        before = cordon.private_kib(pid)
        read_fd, write_fd = os.pipe()
        process = executing("box", "sh", "-c", "head -c 1000000000 /dev/zero", stdout=write_fd)
        os.close(write_fd)
        time.sleep(3)
        assert process.poll() is None
        execute("box", "echo", "meanwhile").expect(0, b"meanwhile\n", b"")
        assert cordon.private_kib(pid) - before < 40 * 1024, "the monitor keeps the output"
        process.signal(signal.SIGKILL)      # the client; the command ends with it
        process.wait()
        wait_until(lambda: not ps()["box"]["jobs"], "the command's end")
        os.close(read_fd)
        execute("box", "sh", "-c", "! pgrep head").expect(0)


def test_a_pipe_shared_by_two():
    """Two commands in two sandboxes read one pipe: who comes second waits, and nothing else does."""
    with sandbox("one"), sandbox("two"):
        read_fd, write_fd = os.pipe()
        first = executing("one", "cat", stdin=read_fd)
        second = executing("two", "cat", stdin=read_fd)
        for round_number in range(20):
            os.write(write_fd, b"x")
            time.sleep(0.02)
        call("stats", "one").expect(0)
        call("stats", "two").expect(0)
        os.close(write_fd)
        os.close(read_fd)
        total = first.wait().expect(0).stdout + second.wait().expect(0).stdout
        assert total == b"x" * 20, total


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
        call("resume", "box").expect(0, b"", b"")
        call("resume", "box").expect_error("not paused")
        seen = int(execute("box", "date", "+%s").expect(0).stdout)
        assert abs(time.time() - seen) < 30 * cordon.TIME_SCALE, seen - time.time()
        process.signal(signal.SIGKILL)
        process.wait()
        # Stopped while paused: politely all the same.
        call("pause", "box").expect(0)
        call("stop", "box").expect(0)


def clocks(name):
    """The guest's real time and uptime, each with what the host's clocks said before and after."""
    before = time.time(), time.monotonic()
    real, up = execute(name, "sh", "-c", "date +%s; cut -d' ' -f1 /proc/uptime").expect(0).stdout.split()
    after = time.time(), time.monotonic()
    return (int(real), before[0], after[0]), (float(up), before[1], after[1])


@cordon.limit(200)
def test_a_monitor_that_stood_still():
    """As after the host's sleep: both clocks are right, what waits goes on, and nothing comes in a burst."""
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
    """Until all processors stand still the sandbox is neither running nor paused."""
    with sandbox() as pid:
        states = set()
        for _round in range(50):
            client = connect()
            os.kill(pid, signal.SIGSTOP)        # both questions are there when it looks
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
    execute("idle", "sleep", "2").expect(0)         # busy for longer than that
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
    """What it leaves stops nobody: each of the next commands clears it."""
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
    """While it boots nobody may start commands; and when who started it goes, it goes."""
    starter = Process("start", "--cold", "box")
    wait_until(lambda: ps().get("box", {}).get("state") == "starting", "the start")
    pid = ps()["box"]["pid"]
    execute("box", "true").expect_error("still starting")
    for verb in ("pause", "resume"):
        call(verb, "box").expect_error("still starting")
    call("snapshot", "box", cordon.scratch("x")).expect_error("still starting")
    call("start", "box").expect_error("box", "is running already")
    starter.signal(signal.SIGKILL)
    starter.wait()
    wait_until(lambda: not cordon.alive(pid), "the monitor's end")
    assert ps() == {} and not os.path.exists(registry("box"))


def test_start_reports_failures():
    call("start", "--kernel", "/nonexistent", "box").expect_error("/nonexistent")
    call("start", "--kernel", "/dev/null", "box").expect_error("box")
    call("start", "box", "more").expect_error("one name")
    call("start").expect_error("name")
    call("start", "--console", "box").expect_error("console")
    assert ps() == {} and os.listdir(registry()) == []


def test_nothing_of_the_callers_stays_open():
    """A pipe that the caller of start holds is closed when the caller is done with it."""
    read_fd, write_fd = os.pipe()
    os.set_inheritable(write_fd, True)
    wrap = ["sh", "-c", f'exec "$@" 7>&{write_fd}', "sh"]
    import subprocess
    done = subprocess.run([*wrap, cordon.PROGRAM, "start", "box"], pass_fds=[write_fd],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False)
    os.close(write_fd)
    try:
        assert done.returncode == 0, done
        assert select.select([read_fd], [], [], 5)[0] and os.read(read_fd, 1) == b""
    finally:
        call("kill", "box").expect(0)


@cordon.limit(cordon.many(600, 7200))
def test_cycles_leave_nothing():
    """Twenty lives of one name, or a thousand."""
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


# --- the control socket ---------------------------------------------------------------------------

def test_bad_messages():
    with sandbox() as pid:
        client = connect()
        before = descriptors_at_rest(pid)
        for bad in (b"x", b"{", b"[]", b"null", b"{}", b'{"op":5}', b'{"op":"none","id":3}',
                    b'{"op":"exec"}', b'{"op":"exec","argv":[]}', b'{"op":"exec","argv":["a",1]}',
                    b'{"op":"exec","argv":["true"]}', b'{"op":"snapshot"}',
                    b'{"op":"snapshot","path":"relative"}', b'{"op":"logs","job":-1}x',
                    b'{"op":"logs","job":12345}', b"[" * 100000, b" " * (128 << 10) + b"{}",
                    b'{"op":"exec","argv":["true"],"detach":true,"timeout_ms":9223372036854775807}'):
            client.send(bad)
            answer = json.loads(client.recv(1 << 18))
            assert answer["ok"] is False and answer["error"], (bad[:50], answer)
        # Those that no answer belongs to, and descriptors where none are wanted.
        for quiet in (b'{"op":"signal","exec":1,"signal":9}', b'{"op":"resize","exec":1}'):
            client.send(quiet)
        for count in (1, 3, 4, 100):
            fds = [0] * count
            socket.send_fds(client, [b'{"op":"info","id":1}'], fds)
            answer = json.loads(client.recv(1 << 18))
            assert answer["ok"] is (count <= 3), answer
        assert ask(client, op="info", id=8)["id"] == 8
        assert descriptors(pid) == before, "descriptors of refused messages stay open"
        client.close()
        execute("box", "true").expect(0)


def test_many_connections():
    """Ten thousand, one after another, and as many at once as there is place for."""
    with sandbox() as pid:
        call("stats", "box").expect(0)
        before = descriptors_at_rest(pid)
        for number in range(10000):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.connect(registry("box", "control.sock"))
            if number % 100 == 0:
                client.recv(1 << 16)
                assert ask(client, op="info", id=number)["id"] == number
            client.close()
        wait_until(lambda: descriptors(pid) == before, "all connections to be closed")
        clients, refused = [], None
        while not refused and len(clients) < 2000:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.settimeout(60)
            client.connect(registry("box", "control.sock"))
            refused = json.loads(client.recv(1 << 16)).get("error")
            clients.append(client)
        assert refused and len(clients) > 200, (refused, len(clients))
        execute("box", "true").expect_error("too many")
        for client in clients:
            client.close()
        wait_until(lambda: descriptors(pid) == before, "all connections to be closed")
        execute("box", "true").expect(0)


def test_a_client_that_never_reads_is_dropped():
    with sandbox() as pid:
        client = connect()
        client.setblocking(False)
        sent = 0
        try:
            while sent < 100000:
                client.send(b'{"op":"info","id":1}')
                sent += 1
        except OSError:
            pass
        assert sent < 100000, "an endless queue"
        execute("box", "echo", "fine").expect(0, b"fine\n")
        client.close()
        wait_until(lambda: descriptors(pid) < 100, "it to go")


def test_a_client_that_vanishes():
    """In the middle of a pause, a snapshot, a command: the next command finds all in order."""
    with sandbox():
        for request in ({"op": "pause"}, {"op": "resume"},
                        {"op": "snapshot", "path": os.path.join(os.getcwd(), "snap")},
                        {"op": "exec", "argv": ["sleep", "1000"], "detach": False}):
            client = connect()
            if request["op"] == "exec":
                socket.send_fds(client, [json.dumps(request).encode()], [0, 1, 2])
            else:
                client.send(json.dumps(request).encode())
            client.close()
            if request["op"] == "pause":            # done all the same; until then resume is refused
                wait_until(lambda: ps()["box"]["state"] == "paused", "the pause")
        wait_until(lambda: ps()["box"]["jobs"] == [], "the command's end")
        wait_until(lambda: ps()["box"]["state"] == "running", "the guest to go on")
        execute("box", "echo", "fine").expect(0, b"fine\n")


def test_a_foreign_user():
    """Even with the folder and the socket open to all, another user's connection is closed."""
    cordon.need_root()
    with sandbox():
        for path in (registry("box", "control.sock"), registry("box"), registry(),
                     os.environ["XDG_RUNTIME_DIR"]):
            os.chmod(path, 0o777)
        try:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    os.setgroups([])
                    os.setgid(65534)
                    os.setuid(65534)
                    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                    client.settimeout(60)
                    client.connect(registry("box", "control.sock"))
                    status = 0 if client.recv(1 << 16) == b"" else 2
                except ConnectionResetError:
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        finally:
            os.chmod(registry(), 0o700)
        connect().close()                   # and its own user is let in
        execute("box", "true").expect(0)


# --- cp -------------------------------------------------------------------------------------------

@cordon.limit(400)
def test_cp():
    """Files and folders both ways, without a share; names, modes, links and contents as they were."""
    work = os.path.join(os.environ["CORDON_TEST_BASE"], "work")
    tree = os.path.join(work, "tree")
    os.makedirs(os.path.join(tree, "sub", "empty"))
    files = {"one": b"1\n", "with space": b"", "ä漢": b"x" * 1000, "n" * 200: b"long", "sub/two": b"2\n",
             "-dash": b"d", "sub/data": cordon.pattern(200000)}
    for name, data in files.items():
        with open(os.path.join(tree, name), "wb") as file:
            file.write(data)
    os.symlink("/etc/passwd", os.path.join(tree, "link"))
    os.chmod(os.path.join(tree, "one"), 0o750)

    def same(folder):
        for name, data in files.items():
            with open(os.path.join(folder, name), "rb") as file:
                assert file.read() == data, name
        assert os.readlink(os.path.join(folder, "link")) == "/etc/passwd"
        assert os.stat(os.path.join(folder, "one")).st_mode & 0o7777 == 0o750
        assert os.listdir(os.path.join(folder, "sub", "empty")) == []

    with sandbox():
        call("cp", tree, "box:/tmp/new").expect(0, b"", b"")
        execute("box", "sh", "-c", "cat /tmp/new/one /tmp/new/sub/two; ls -a /tmp").expect(
            0, b"1\n2\n.\n..\nnew\n")
        call("cp", "box:/tmp/new", os.path.join(work, "back")).expect(0, b"", b"")
        same(os.path.join(work, "back"))
        # Into a folder that is there.
        call("cp", "-dash", "box:/tmp", cwd=tree).expect_error("cp:")      # an option, as it looks
        call("cp", "--", "./-dash", "box:/tmp", cwd=tree).expect(0)
        execute("box", "cat", "/tmp/-dash").expect(0, b"d")
        call("cp", "box:/tmp/new/one", work).expect(0)
        with open(os.path.join(work, "one"), "rb") as file:
            assert file.read() == b"1\n"
        # What is not there.
        result = call("cp", "box:/none", os.path.join(work, "none"))
        assert result.status == FAILED and b"none" in result.stderr, repr(result)
        assert not os.path.exists(os.path.join(work, "none"))
        call("cp", os.path.join(work, "none"), "box:/tmp/x").expect_error("none")
        call("cp", tree, "none:/tmp").expect_error("no sandbox")
        call("cp", tree, tree).expect_error("one of the two")
        call("cp", "box:/a", "box:/b").expect_error("one of the two")
        call("cp", "box:a", work).expect_error("must begin with /")


def test_cp_from_a_guest_that_lies():
    """What is to be the sandbox's tar sends what it wants; nothing lands outside, nothing is followed."""
    work = os.path.join(os.environ["CORDON_TEST_BASE"], "work")
    victim = os.path.join(work, "victim")
    os.mkdir(victim)
    import io
    import tarfile

    def stream(*entries):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name, kind, text in entries:
                info = tarfile.TarInfo(name)
                info.type = kind
                if kind == tarfile.REGTYPE:
                    info.size = len(text)
                    tar.addfile(info, io.BytesIO(text.encode()))
                else:
                    info.linkname = text
                    tar.addfile(info)
        return out.getvalue()

    folder, file, link = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE
    lies = [
        stream(("x", folder, ""), ("x/l", link, victim), ("x/l/file", file, "bad")),
        stream(("x/../victim/file", file, "bad")),
        stream((f"{victim}/file", file, "bad")),
        stream(("victim/file", file, "bad")),
        stream(("x", link, victim), ("x/file", file, "bad")),
    ]
    with sandbox():
        # The sandbox's owner may put another sh in front of the one that cp asks for.
        execute("box", "sh", "-c", "mkdir -p /usr/local/bin; cat > /usr/local/bin/sh; "
                                   "chmod 755 /usr/local/bin/sh",
                stdin=b"#!/bin/sh\ncat /tmp/stream\n").expect(0)
        for lie in lies:
            execute("box", "/bin/sh", "-c", "cat > /tmp/stream", stdin=lie).expect(0)
            result = call("cp", "box:/tmp/x", os.path.join(work, "x"))
            assert result.status == FAILED and result.stderr.count(b"\n") == 1, repr(result)
            assert os.listdir(victim) == []
        # What it says on the way: harmless on a terminal, as it is elsewhere.
        execute("box", "/bin/sh", "-c", "cat > /usr/local/bin/sh",
                stdin=b"#!/bin/sh\nprintf 'tar: \\033]0;x\\a\\302\\2332J\\t\\303\\244\\n' >&2; sleep 60 & cat /tmp/stream\n").expect(0)
        result = call("cp", "box:/tmp/x", os.path.join(work, "x"))
        assert result.stderr.startswith(b"tar: \x1b]0;x\x07\xc2\x9b2J\t\xc3\xa4\n"), repr(result)
        terminal = cordon.Terminal("cp", "box:/tmp/x", os.path.join(work, "x"))
        terminal.expect(b"tar: \\x1b]0;x\\x07\\u009b2J\t\xc3\xa4\r\n")
        assert terminal.wait() == FAILED and b"\x1b" not in terminal.output, repr(terminal.output)
        honest = stream(("./x", folder, ""), ("./x/file", file, "good"))
        execute("box", "/bin/sh", "-c", "cat > /tmp/stream", stdin=honest).expect(0)
        call("cp", "box:/tmp/x", os.path.join(work, "honest")).expect(0)
        with open(os.path.join(work, "honest", "file"), "rb") as out:
            assert out.read() == b"good"


@cordon.limit(400)
def test_cp_and_planted_links():
    """A link that one copy has put on the host is not followed by the next, in neither direction."""
    work = os.path.join(os.environ["CORDON_TEST_BASE"], "work")
    secret = os.path.join(work, "secret")
    os.makedirs(os.path.join(secret, "sub"))
    with open(os.path.join(secret, "key"), "w", encoding="ascii") as file:
        file.write("mine")

    def untouched():
        with open(os.path.join(secret, "key"), encoding="ascii") as file:
            return file.read() == "mine" and sorted(os.listdir(secret)) == ["key", "sub"]

    with sandbox():
        execute("box", "sh", "-c", f"cd /tmp; echo bad >new; mkdir d; echo bad >d/key; ln -s {secret}/key file; "
                                   f"ln -s {secret} directory").expect(0)
        for name in ("file", "directory"):
            call("cp", f"box:/tmp/{name}", f"./{name}", cwd=work).expect(0, b"", b"")
            assert os.path.islink(os.path.join(work, name))
        # The link makes way for the file.
        call("cp", "box:/tmp/new", "./file", cwd=work).expect(0, b"", b"")
        with open(os.path.join(work, "file"), "rb") as file:
            assert file.read() == b"bad\n" and untouched()
        # One that leads to a directory is not entered, nor passed; a slash at the end says so.
        for target in ("directory", "directory/key", "directory/sub/key", os.path.join(work, "directory", "new")):
            call("cp", "box:/tmp/new", target, cwd=work).expect_error("directory", "symbolic link")
            assert untouched()
        for target in ("directory/sub/", "directory/."):
            call("cp", "box:/tmp/d", target, cwd=work).expect_error("directory", "symbolic link")
            assert untouched()
        call("cp", "box:/tmp/d", "directory/", cwd=work).expect(0, b"", b"")
        assert sorted(os.listdir(secret)) == ["d", "key", "sub"]
        # Into the sandbox: what the link leads to is not the sandbox's to have.
        for source in ("directory", "directory/key"):
            call("cp", source, "box:/tmp/got", cwd=work).expect_error("directory", "symbolic link")
        execute("box", "cat", "/tmp/got").expect(1, b"")
        call("cp", os.path.join(secret, "key"), "box:/tmp/got").expect(0, b"", b"")
        execute("box", "cat", "/tmp/got").expect(0, b"mine")

        # Streams: out, and in again; never a terminal's.
        import io
        import tarfile
        result = call("cp", "box:/tmp/d", "-")
        result.expect(0, None, b"")
        with tarfile.open(fileobj=io.BytesIO(result.stdout)) as tar:
            assert tar.getnames() == ["d", "d/key"] and tar.extractfile("d/key").read() == b"bad\n"
        execute("box", "mkdir", "/tmp/in").expect(0)
        call("cp", "-", "box:/tmp/in", stdin=result.stdout).expect(0, b"", b"")
        execute("box", "cat", "/tmp/in/d/key").expect(0, b"bad\n")
        for result in call("cp", "-", "box:/tmp/none", stdin=result.stdout), call("cp", "box:/tmp/none", "-"):
            assert result.status == FAILED and b"tar in the sandbox failed" in result.stderr, repr(result)
        call("cp", "-", "-").expect_error("one of the two")
        terminal = cordon.Terminal("cp", "box:/tmp/d", "-")
        terminal.expect(b"terminal")
        assert terminal.wait() == FAILED


@cordon.limit(400)
def test_few_descriptors():
    """A guest that opens all that it can, where the limit of descriptors is low: clients get in, and more than one."""
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
        hog.wait_output(b"open", stream="stderr")      # can't open: the bound is reached
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
