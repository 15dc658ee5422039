# SPDX-License-Identifier: Apache-2.0
"""on-ask: what happens to a sandbox until a person decides. The guest's peer is a server on the host's loopback."""
import contextlib
import json
import signal
import socket
import threading
import time

import cordon
from cordon import Process, call, limit, wait_until, work, write
from sandboxes import ask, connect, execute, executing, ps, real_time, sandbox

HOST = "192.0.2.4"      # the host's loopback, as the guest sees it
TIMEOUT = 20            # seconds that a command may take, and less than it is frozen


@contextlib.contextmanager
def server():
    """Says hello to each client. Yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    with listening.accept()[0] as client:
                        client.sendall(b"hello\n")
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def policy(port, on_ask):
    return write("p", f"policy 1\non-ask {on_ask}\nnet ask tcp host:{port}\n")


KNOCK = "nslookup host >/dev/null; nc " + HOST + " {} </dev/null"


def knock(port, *options):
    return executing("box", "sh", "-c", KNOCK.format(port), options=options)


def questions(client):
    return ask(client, op="questions", id=1)["questions"]


def wait_frozen():
    wait_until(lambda: ps().get("box", {}).get("state") == "frozen", "the sandbox to freeze")


def events(name):
    lines = [json.loads(line) for line in call("audit", "--json", "box").expect(0).stdout.splitlines()]
    return [line for line in lines if line.get("event") == name]


def private_kib(client):
    return ask(client, op="stats", id=2)["private_kib"]


@limit(300)
def test_freeze():
    """The guest stands still until the answer; pauses and snapshots in between; the time does not count."""
    with server() as port, sandbox("box", "--policy", policy(port, "freeze")), \
            contextlib.closing(connect()) as client:
        call("resume", "box").expect(0, b"", b"")         # of one that runs: nothing
        # Without an operator attached: the question waits for one.
        uptime = "cut -d. -f1 /proc/uptime"
        waiting = executing("box", "sh", "-c", f"{uptime}; {KNOCK.format(port)}; {uptime}",
                            options=("--timeout", f"{TIMEOUT}s"))
        wait_frozen()
        question, = questions(client)
        assert question["frozen"] is True and "until" not in question, question
        assert question["object"] == f"tcp host {HOST}:{port}", question
        execute("box", "true").expect_error("stands still until a question is answered: cordon ask box")
        call("resume", "box").expect_error("stands still until a question is answered: cordon ask box")
        call("snapshot", "box", work("snap")).expect(0)
        assert ps()["box"]["state"] == "frozen"
        call("pause", "box").expect(0)
        assert ps()["box"]["state"] == "paused"
        time.sleep(TIMEOUT + 1)
        # The answer alone does not let it go on, for it is paused as well.
        assert ask(client, op="answer", id=3, question=question["question"], answer="once")["ok"]
        assert ps()["box"]["state"] == "paused"
        call("resume", "box").expect(0)
        begun, hello, ended = waiting.wait().expect(0, stderr=b"").stdout.split()
        assert hello == b"hello"
        if cordon.HARDWARE:             # elsewhere the guest reads the processor's own counter
            assert int(ended) - int(begun) <= TIMEOUT, (begun, ended)
        seen, before, after = real_time("box")
        assert int(before) - 1 <= seen <= after + 1, (before, seen, after)
        refused = ask(client, op="answer", id=4, question=question["question"], answer="once")
        assert refused["error"] == \
            f"question {question['question']} is not open: 'cordon ask box' shows the open ones", refused
        assert [line["detail"].split(" after")[0] for line in events("freeze")] == [
            "the sandbox stands still until an operator decides", "the sandbox went on"], events("freeze")
        # A copy of the frozen guest runs: its question has gone with its connection.
        call("restore", work("snap"), "copy").expect(0)
        try:
            execute("copy", "echo", "fine").expect(0, b"fine\n")
        finally:
            call("kill", "copy")


@limit(300)
def test_memory_of_a_frozen_sandbox_goes_to_disk():
    """spill: the host gets the memory back, the guest finds all of it again."""
    with server() as port, sandbox("box", "--policy", policy(port, "freeze spill=1s")), \
            contextlib.closing(connect()) as client:
        # Random bytes cost the guest's kernel much where ring 0 is emulated; the rest need not be random.
        execute("box", "sh", "-c", "{ head -c 200000 /dev/urandom; head -c 4000000 /dev/zero | tr '\\0' x; } > /tmp/data").expect(0)
        summed = execute("box", "md5sum", "/tmp/data").expect(0).stdout
        before = private_kib(client)
        for times in (1, 2):
            waiting = knock(port)
            wait_frozen()
            wait_until(lambda times=times: [line["detail"] for line in events("freeze")].count(
                "its memory was written to disk") == times, "the memory to be written")
            assert private_kib(client) < before * 3 // 4, before     # the monitor itself has 2 to 3 MiB
            line = [line.split() for line in call("ps").expect(0).stdout.decode().splitlines()][1]
            assert line[1] == "frozen" and line[7:] == ["1", "question,", "memory", "on", "disk"], line
            shown = ps()["box"]
            assert shown["spilled"] is True and shown["questions"] == 1, shown
            question, = questions(client)
            assert ask(client, op="answer", id=3, question=question["question"], answer="once")["ok"]
            waiting.wait().expect(0, b"hello\n", b"")
            assert execute("box", "md5sum", "/tmp/data").expect(0).stdout == summed
            shown = ps()["box"]
            assert shown["spilled"] is False and shown["questions"] == 0, shown
        with contextlib.closing(connect()) as other:
            assert questions(other) == []


@limit(300)
def test_a_frozen_sandbox_ends():
    """A frozen sandbox is stopped in an orderly way; another policy thaws it; kill ends it."""
    with server() as port:
        text = policy(port, "freeze")
        with sandbox("box", "--policy", text), contextlib.closing(connect()) as client:
            waiting = knock(port)
            wait_frozen()
            call("policy", "set", "box", write("q", f"policy 1\nnet allow tcp host:{port}\n")).expect(0)
            waiting.wait().expect(0, b"hello\n", b"")
            call("policy", "set", "box", text).expect(0)
            waiting = knock(port)
            wait_frozen()
            assert ask(client, op="pause", id=5)["ok"]
            call("stop", "box").expect(0)
            waiting.wait()
        with sandbox("box", "--policy", text):
            waiting = knock(port)
            wait_frozen()
            call("kill", "box").expect(0)
            waiting.wait()


@limit(300)
def test_a_frozen_run_gets_signals():
    """SIGTERM lets a frozen run go on and reaches its command; other signals say what it waits for."""
    with server() as port:
        script = f"trap '' INT; trap 'echo got; exit 3' TERM; nslookup host >/dev/null; nc {HOST} {port} </dev/null & wait"
        frozen = Process("run", "--name", "box", "--policy", policy(port, "freeze"), "--", "sh", "-c", script)
        wait_frozen()
        frozen.signal(signal.SIGINT)
        frozen.wait_output(b"stands still until a question is answered: cordon ask box", "stderr")
        frozen.signal(signal.SIGTERM)
        result = frozen.wait().expect(3, b"got\n")
        assert b"the sandbox stands still" in result.stderr, result


@limit(300)
def test_attach_to_a_frozen_sandbox():
    """A shell that is started while the sandbox is frozen begins with the answer, which a line of attach gives."""
    with server() as port, sandbox("box", "--policy", policy(port, "freeze")):
        waiting = knock(port)
        wait_frozen()
        call("attach", "box", stdin=b":allow 1\necho begun\n").expect(0, b"begun\n", b"")
        waiting.wait().expect(0, b"hello\n", b"")


@limit(300)
def test_wait_and_deny():
    """wait: refused when the time is over, answered by who comes until then. deny: at once, with the rule."""
    with server() as port, sandbox("box", "--policy", policy(port, "wait=2s")), \
            contextlib.closing(connect()) as client:
        client.send(json.dumps({"op": "questions", "watch": True, "id": 1}).encode())
        assert json.loads(client.recv(1 << 17))["questions"] == []
        waiting = knock(port)
        asked = json.loads(client.recv(1 << 17))
        assert asked["event"] == "asked" and asked["until"] - asked["asked"] == 2 and "frozen" not in asked, asked
        over = json.loads(client.recv(1 << 17))
        assert over["how"] == "no operator decided in time", over
        assert waiting.wait().status != 0
        call("policy", "set", "box", policy(port, "deny")).expect(0)
        assert knock(port).wait().status != 0
        assert [line["detail"] for line in events("proposal")] == [f"rule=net allow tcp host:{port}"]
        reasons = [json.loads(line).get("reason", "") for line in
                   call("audit", "--json", "box").expect(0).stdout.splitlines()]
        assert "the rule needs an operator's approval, and the policy says on-ask deny" in reasons, reasons
        # An operator need not be attached, and may come and go.
        client.close()
        call("policy", "set", "box", policy(port, "wait=1h")).expect(0)
        waiting = knock(port)
        wait_until(lambda: call("ask", "box").expect(0, stderr=b"").stdout, "the question")
        number = call("ask", "box").stdout.decode().split(":")[0]
        call("ask", "box", number, "once").expect(0)
        waiting.wait().expect(0, b"hello\n", b"")
        assert not events("freeze")
