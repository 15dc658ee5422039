# SPDX-License-Identifier: Apache-2.0
"""Shell sessions over the control socket: they outlive their clients, whatever these do."""
import contextlib
import json
import os
import select
import signal
import socket
import time

import cordon
from cordon import PROMPT, call, start, wait_until
from sandboxes import ask, connect, cpu_ticks, descriptors, descriptors_at_rest, execute, ps, sandbox
from shell_client import SHELL, Shell, receive, request

KEPT, WINDOW = 64 << 10, 256 << 10
SESSIONS = 32                               # MONITOR_SHELLS_MAX


def wait_for_rest(pid, what):
    """Wait until a monitor takes next to no processor time."""
    def rests():
        before = cpu_ticks(pid)
        time.sleep(1)
        return cpu_ticks(pid) - before < 20
    wait_until(rests, f"the monitor to rest with {what}")


def sessions(name="box"):
    """Whether each session is attached, by number."""
    return {job["job"]: job["attached"] for job in ps()[name]["jobs"] if job.get("session")}


def test_a_session():
    """Directory, variables and jobs live on from client to client; size, signals, note and exit status too."""
    with sandbox() as pid:
        before = descriptors_at_rest(pid)
        first = Shell(**SHELL, rows=33, columns=101, note="secret 42 ~")
        assert first.reply == {"id": 1, "ok": True, "session": 1}
        first.line(b"stty size; X=41; cd /tmp; sleep 1000 & tty")
        first.expect(b"33 101")
        first.expect(b"/dev/pts/")
        first.expect(PROMPT)
        assert ps()["box"]["jobs"] == [{"job": 1, "command": "sh", "started": ps()["box"]["jobs"][0]["started"],
                                        "detached": False, "session": True, "attached": True}]
        assert "secret" not in str(ps()["box"])
        call("logs", "box", "1").expect_error("no detached job 1")
        first.type(b"echo typed $((1 + X)); exec 2>&1; sleep 2; echo late\r")
        first.expect(b"typed 42")
        first.detach()
        first.rest()
        assert sessions() == {1: False}
        assert ask(first.control, op="detach", id=4, exec=1)["error"].startswith("detach: no session")
        time.sleep(3)                       # it goes on meanwhile
        # On another connection, and this time by closing that.
        second = Shell.attach(rows=40, columns=120, ident=77)
        assert second.reply["session"] == 1 and second.reply["note"] == "secret 42 ~", second.reply
        second.expect(b"late")
        assert 0 < second.reply["kept"] <= 1000
        second.line(b"pwd; stty size; echo x$X; kill %1 && echo ki''lled")
        second.expect(b"/tmp\r\n40 120\r\nx41\r\nkilled")
        ask_quietly(second.control, op="resize", exec=77, rows=20, columns=55)
        second.line(b"stty size; sh -c 'echo g\"\"o; exec cat'")
        second.expect(b"20 55\r\ngo\r\n")
        second.type(b"\x03")                # ^C ends cat
        second.line(b"echo $?; trap 'echo us''r1' USR1")
        second.expect(b"130")
        second.expect(PROMPT)
        ask_quietly(second.control, op="signal", exec=77, signal=int(signal.SIGUSR1))
        second.type(b"\r")
        second.expect(b"usr1")
        second.expect(PROMPT)
        second.control.close()
        second.rest()
        wait_until(lambda: sessions() == {1: False}, "the detach")
        # By closing the stream. What was typed just before still arrives.
        third = Shell.attach(1)
        third.type(b"Y=ye''s\r")
        third.stream.close()
        wait_until(lambda: sessions() == {1: False}, "the detach")
        fourth = Shell.attach(1, on=third.control, ident=5)
        fourth.insist(b"echo answer $Y", b"answer yes")
        fourth.line(b"exit 7")
        event = receive(fourth.control)
        assert (event["id"], event["event"], event["status"], event["message"]) == (5, "ended", 7, None), event
        assert event["usage"]["real_us"] > 3000000
        fourth.rest()
        assert ps()["box"]["jobs"] == ps()["box"]["ended"] == []
        for shell in (first, second, third, fourth):
            shell.close()
        wait_until(lambda: descriptors(pid) == before, "the descriptors to be closed")
        # A shell that is not there, and one that ends while it has no client.
        bad = Shell(op="shell", argv=["/none"], env=[])
        event = receive(bad.control)
        assert event["status"] == 127 and "/none" in event["message"], event
        bad.close()
        Shell(op="shell", argv=["sh", "-c", "sleep 1"], env=[]).close()
        wait_until(lambda: sessions() == {}, "its end")


def ask_quietly(client, **body):
    client.send(json.dumps(body).encode())  # there is no reply


def test_bad_requests():
    with sandbox() as pid, contextlib.ExitStack() as stack:
        client = stack.enter_context(connect())
        pairs = [stack.enter_context(one) for _i in range(3) for one in socket.socketpair()]
        stream = pairs[0].fileno()
        datagram, packets = (stack.enter_context(socket.socketpair(socket.AF_UNIX, kind)[0])
                             for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET))
        alone = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        internet = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        file = stack.enter_context(open(cordon.scratch("file"), "r+b"))
        pipe = os.pipe()
        before = descriptors_at_rest(pid)

        def refused(fds, *words, **body):
            answer = request(client, fds, id=3, **body)
            assert answer["ok"] is False and answer["id"] == 3, (body, answer)
            for word in words:
                assert word in answer["error"], (word, answer)

        for body in (SHELL, {"op": "attach"}):
            refused([], "one descriptor", **body)
            refused([stream, pairs[1].fileno()], "one descriptor", **body)
            for bad in (datagram, packets, alone, internet, file):
                refused([bad.fileno()], "Unix stream socket", **body)
            for end in pipe:
                refused([end], "Unix stream socket", **body)
        for note in ("x" * 129, "new\nline", "caf\u00e9", "\x7f", 5, None, ["x"]):
            refused([stream], "note", **SHELL, note=note)
        for argv in ([], "sh", ["sh", 1], None):
            refused([stream], "argv", op="shell", argv=argv, env=[])
        refused([stream], "argv and env", op="shell", argv=["sh"], env=[1])
        refused([stream], "", op="shell", argv=["sh"], env=["no name"])
        refused([stream], "no detached session", op="attach")
        refused([stream], "no detached session", op="attach", session=0)
        for number in (1, 99, 1 << 62):
            refused([stream], f"no session {number}", op="attach", session=number)
        for number in (-1, "1", 1.5, None):
            refused([stream], "must be the number", op="attach", session=number)
        refused([], "no session of this connection", op="detach", exec=1)
        assert ps()["box"]["jobs"] == [], "a refused request leaves a job"
        assert descriptors(pid) <= before + 1, "descriptors of refused requests stay open"
        # A command is not a session.
        answer = request(client, [0, 1, 2], op="exec", id=6, argv=["sleep", "1000"], env=[])
        assert answer["event"] == "started"
        number = ps()["box"]["jobs"][0]["job"]
        refused([stream], f"no session {number}", op="attach", session=number)
        refused([], "no session of this connection", op="detach", exec=6)
        # The twin: with what is right, each works, and a session that has a client has no room for another.
        shell = Shell(**SHELL, note="x" * 128)
        refused([stream], "attached already", f"process {os.getpid()}", op="attach", session=shell.session)
        refused([stream], "no detached session", op="attach")
        refused([], "no session of this connection", op="detach", exec=1)   # it is another connection's
        shell.detach()
        again = Shell.attach(shell.session)
        assert again.reply["note"] == "x" * 128
        again.line(b"echo fi''ne")
        again.expect(b"fine")
        # While the sandbox is paused, a session can be found but none started.
        again.detach()
        call("pause", "box").expect(0)
        refused([stream], "paused", **SHELL)
        paused = Shell.attach(again.session, rows=11, columns=44)
        paused.type(b"stty size\r")
        assert not paused.read() or b"11 44" not in paused.output
        call("resume", "box").expect(0)
        paused.expect(b"11 44")
        for shell in (shell, again, paused):
            shell.close()
        for end in pipe:
            os.close(end)


def test_clients_that_vanish():
    """Killed in the middle, or left by its connection: the session is there for the next one, the latest first."""
    with sandbox() as pid:
        before = descriptors_at_rest(pid)
        shells = [Shell() for _i in range(3)]
        numbers = [shell.session for shell in shells]
        for shell in shells:
            shell.line(b"N=%d" % shell.session)
            shell.expect(PROMPT)
        for shell in (shells[1], shells[0], shells[2]):
            shell.close()
        wait_until(lambda: not any(sessions().values()), "the detach")
        # By turns: who was attached last is found first.
        latest = Shell.attach()
        assert latest.session == numbers[2]
        other = Shell.attach()
        assert other.session == numbers[1]
        other.close()
        latest.close()
        wait_until(lambda: not any(sessions().values()), "the detach")
        other = Shell.attach()
        assert other.session == numbers[1]
        other.close()
        # Killed while attached, with output on its way: kill -9 of the client's process.
        ready, tell = os.pipe()
        child = os.fork()
        if child == 0:
            shell = Shell.attach(numbers[0])
            shell.line(b"while sh -c 'echo at\"\"work; sleep 1'; do :; done")
            shell.expect(b"atwork")
            os.write(tell, b"x")
            signal.pause()
            os._exit(1)
        assert os.read(ready, 1) == b"x"
        assert sessions()[numbers[0]]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(tell)
        wait_until(lambda: not sessions()[numbers[0]], "the detach")
        shell = Shell.attach()
        assert shell.session == numbers[0]
        shell.type(b"\x03")
        shell.expect(b"^C")
        shell.line(b"echo this is $N")
        shell.expect(b"this is %d" % numbers[0])
        # Many clients one after another.
        shell.close()
        for _i in range(300):
            client, (near, far) = connect(), socket.socketpair()
            socket.send_fds(client, [b'{"op":"attach","id":1,"session":%d}' % numbers[0]], [far.fileno()])
            for end in (client, near, far):
                end.close()
        wait_until(lambda: not sessions()[numbers[0]], "the last one to go")
        wait_until(lambda: descriptors(pid) == before, "the descriptors to be closed")
        shell = Shell.attach(numbers[0])
        shell.line(b"exit 3")
        shell.rest()
        shell.close()
        assert sorted(sessions()) == numbers[1:]


@cordon.limit(300)
def test_floods():
    """Output without a client, a client that does not read, one that floods: the shell goes on, memory is bounded."""
    def flood(size, end):
        # Blocks, unprocessed: the guest's terminal takes milliseconds a line where ring 0 is emulated.
        return (b"echo beg''in; dd if=/dev/zero bs=4k count=%d 2>/dev/null | tr '\\0' x; echo e''nd%d"
                % (size // 4096, end))

    with sandbox() as pid, contextlib.closing(connect()) as client:
        def printed():
            return ask(client, op="stats", id=1)["vsock_from_guest"]

        shell, size = Shell(), cordon.many(80 << 10, 10 << 20)
        shell.line(b"stty -echo -opost; echo o''n")
        shell.expect(b"on\n")
        before = printed()
        shell.line(flood(size, 1) + b"; echo status $?; : > /tmp/printed")
        shell.expect(b"begin\n")
        shell.detach()
        shell.close()
        wait_until(lambda: execute("box", "test", "-e", "/tmp/printed").status == 0, "the end of the flood")
        assert printed() > before + size
        shell = Shell.attach(buffer=4096)
        assert KEPT // 2 < shell.reply["kept"] <= KEPT, shell.reply
        assert KEPT // 2 < shell.expect(b"end1\nstatus 0\n").count(b"x") <= KEPT
        # A client that does not read holds up the shell, and takes no processor time; others are served.
        size = cordon.many(320 << 10, 10 << 20)
        shell.line(flood(size, 2))
        shell.expect(b"begin\n")
        wait_for_rest(pid, "a client that does not read")
        execute("box", "echo", "fine").expect(0, b"fine\n")
        assert shell.expect(b"end2\n").count(b"x") == size > WINDOW
        # One that goes in the middle of its output.
        shell.line(flood(80 << 10, 3))
        shell.expect(b"begin\n")
        shell.close()
        shell = Shell.attach()
        shell.expect(b"end3\n")
        # Input that nothing reads, more than everything on the way holds.
        shell.line(b"stty raw; echo beg''in; sleep 1000")   # otherwise the terminal drops what is too much
        shell.expect(b"begin\n")
        shell.stream.setblocking(False)
        sent, block = 0, b"x" * 65535 + b"\n"
        while select.select([], [shell.stream], [], 2)[1]:
            sent += shell.stream.send(block)
            assert sent < 8 << 20, "input without bounds"
        wait_for_rest(pid, "input that nothing reads")
        execute("box", "echo", "fine").expect(0, b"fine\n")
        shell.close()                       # it is noticed all the same
        wait_until(lambda: sessions() == {shell.session: False}, "the detach")
        shell = Shell.attach()
        ask_quietly(shell.control, op="signal", exec=1, signal=int(signal.SIGHUP))
        assert receive(shell.control)["event"] == "ended"
        shell.rest()
        shell.close()


def test_many_sessions():
    """Twenty clients with a session each, then as many sessions as there may be, on one connection."""
    with sandbox() as pid:
        before = descriptors_at_rest(pid)
        shells = [Shell() for _i in range(20)]
        for shell in shells:
            shell.line(b"N=%d; echo session $N-$N" % shell.session)
        for shell in shells:
            shell.expect(b"session %d-%d\r\n" % (shell.session, shell.session))
        one = connect()
        more = [Shell(on=one, ident=ident) for ident in range(20, SESSIONS)]
        with contextlib.closing(socket.socketpair()[0]) as spare:
            answer = request(one, [spare.fileno()], id=99, **SHELL)
            assert answer["ok"] is False and f"{SESSIONS} shell sessions" in answer["error"], answer
        execute("box", "echo", "fine").expect(0, b"fine\n")     # commands have a bound of their own
        assert sessions() == {shell.session: True for shell in shells + more}
        one.close()                         # leaves all of its sessions, and only these
        for shell in more:
            shell.rest()
            shell.stream.close()
        assert sessions() == {shell.session: shell in shells for shell in shells + more}
        # One ends, and so there is room for one more.
        shells[0].line(b"exit")
        assert receive(shells[0].control)["status"] == 0
        Shell().close()
        for shell in shells:
            shell.close()
        wait_until(lambda: not any(sessions().values()), "all to be detached")
        assert len(sessions()) == SESSIONS
        wait_until(lambda: descriptors(pid) == before, "the descriptors to be closed")


def test_the_end():
    """A stop ends sessions like a lost terminal; a session keeps its sandbox from being idle; `run` has sessions too."""
    with sandbox("box", "--idle", "1s"):
        quiet, busy, detached = Shell(), Shell(), Shell()
        busy.line(b"echo r''eady; sleep 1000")
        busy.expect(b"ready")
        quiet.expect(PROMPT)
        detached.expect(PROMPT)
        detached.close()
        time.sleep(2)
        assert sessions() == {quiet.session: True, busy.session: True, detached.session: False}
        call("stop", "box").expect(0, b"", b"")
        for shell in (quiet, busy):         # ended by the signal, not by the end of the sandbox
            assert receive(shell.control)["status"] == 128 + signal.SIGHUP
            shell.rest()
            shell.close()
    process = start("sh", "-c", "echo ready; read line; exit 4", options=["--name", "ran"])
    process.wait_output(b"ready")
    shell = Shell("ran")
    shell.line(b"echo fi''ne")
    shell.expect(b"fine")
    shell.detach()
    process.write(b"\n")                    # its command is what a run lives for
    process.wait().expect(4)
    shell.rest()
    shell.close()


def test_copies():
    """A snapshot of a sandbox with a session: the session goes on there, the copy has none."""
    path = os.path.join(os.getcwd(), "snap")
    with sandbox():
        shell = Shell()
        shell.line(b"X=1; echo o''n")
        shell.expect(b"on")
        call("snapshot", "box", path).expect(0)
        shell.line(b"echo still $X")
        shell.expect(b"still 1")
        shell.close()
    call("restore", path, "copy").expect(0)
    try:
        assert ps()["copy"]["jobs"] == []
        shell = Shell("copy")
        shell.line(b"echo fi''ne")
        shell.expect(b"fine")
        shell.close()
        call("stop", "copy").expect(0)
    finally:
        call("kill", "copy")
