# SPDX-License-Identifier: Apache-2.0
"""Rules ask-read and ask-write: a program waits in open() until an operator decides."""
import json
import signal

from cordon import call, limit, wait_until, work, write
from sandboxes import execute, executing, sandbox

RULES = "policy 1\nshare {} /w\non-ask wait=10m\n{}file write /w/**\n"
ASKS = "file ask-read /w/secret\nfile ask-write /w/asked\n"


def question(path, name="box"):
    """The number of the open question about a path: there is one."""
    shown = []

    def open_now():
        shown[:] = [line for line in call("ask", name).expect(0).stdout.decode().splitlines() if f" {path}?" in line]
        return shown

    wait_until(open_now, "the question")
    assert len(shown) == 1, shown
    return shown[0].split(":")[0]


def none_open(name="box"):
    return not call("ask", name).expect(0).stdout


def begin_reading(name="box"):
    """Two programs that belong to no client, and so live on in a copy, read what an operator is asked about."""
    execute(name, "sh", "-c", "for i in 1 2; do setsid sh -c \"cat /w/secret >/tmp/got$i; echo \\$? >>/tmp/got$i\" "
            "2>/dev/null </dev/null >/dev/null & done").expect(0)
    return question("/w/secret", name)


def got(name, text):
    """Both have ended, with this."""
    wait_until(lambda: execute(name, "cat", "/tmp/got1", "/tmp/got2").stdout == 2 * text, "both programs")


@limit(900)
def test_file_ask():
    """Others work in the share meanwhile; approved once, refused, interrupted, decided by another policy, approved for good."""
    write("top/secret", "hello\n")
    write("top/asked", "old\n")
    asks = write("asks", RULES.format(work("top"), ASKS))
    allows = write("allows", RULES.format(work("top"), ""))
    with sandbox("box", "--policy", asks):
        waits = executing("box", "cat", "/w/secret")
        number = question("/w/secret")
        execute("box", "sh", "-c", "echo x >/w/new; cat /w/new /w/asked; ls /w").expect(0, b"x\nold\nasked\nnew\nsecret\n")
        call("ask", "box", number, "once").expect(0)
        waits.wait().expect(0, b"hello\n")
        waits = executing("box", "cat", "/w/secret")
        call("ask", "box", question("/w/secret"), "no").expect(0)
        assert waits.wait().status == 1
        # The process is killed: nothing is asked any more.
        waits = executing("box", "sh", "-c", "cat /w/secret & echo $!; wait $!; echo $?")
        question("/w/secret")
        execute("box", "sh", "-c", "kill -9 $(pidof cat)").expect(0)
        assert waits.wait().expect(0).stdout.endswith(b"\n137\n")
        wait_until(none_open, "the end of the question")
        # Another policy decides.
        waits = executing("box", "cat", "/w/secret")
        question("/w/secret")
        call("policy", "set", "box", allows).expect(0)
        waits.wait().expect(0, b"hello\n")
        wait_until(none_open, "the end of the question")
        call("policy", "set", "box", asks).expect(0)
        # Writing, and for good.
        waits = executing("box", "sh", "-c", "echo new >/w/asked")
        call("ask", "box", question("/w/asked"), "once").expect(0)
        waits.wait().expect(0)
        waits = executing("box", "cat", "/w/secret")
        call("ask", "box", question("/w/secret"), "always").expect(0)
        waits.wait().expect(0, b"hello\n")
        execute("box", "cat", "/w/secret", "/w/asked").expect(0, b"hello\nnew\n")
        log = [json.loads(line) for line in call("audit", "--json", "box").expect(0).stdout.splitlines()]
    reads = [line for line in log if line.get("op") == "read" and line["object"] == "/w/secret"]
    assert [line["verdict"] for line in reads] == ["allow", "deny", "allow", "allow", "allow"], reads
    assert reads[0]["reason"] == "an operator allowed it", reads
    events = [line["detail"].split()[1] for line in log if line.get("event") == "answer" and line["object"] == "/w/secret"]
    assert events[:2] == ["answer=once", "answer=no"] and len(events) == 5, events


@limit(900)
def test_file_ask_copy():
    """Two requests wait with one question. A copy has one, too; each sandbox's operator decides for that one."""
    write("top/secret", "hello\n")
    with sandbox("box", "--policy", write("asks", RULES.format(work("top"), ASKS))):
        number = begin_reading()
        call("fork", "box", "1").expect(0)
        assert question("/w/secret") == number
        call("ask", "box-1", question("/w/secret", "box-1"), "once").expect(0)
        got("box-1", b"hello\n0\n")
        assert none_open("box-1") and question("/w/secret") == number
        call("stop", "box-1").expect(0)
        # The parent's are still open, and answered as if there had been no copy.
        call("ask", "box", number, "no").expect(0)
        got("box", b"1\n")
        assert none_open()


@limit(900)
def test_file_ask_restore():
    """What was asked and not answered when a snapshot was taken is asked once after a restore, under the rules of then."""
    write("top/secret", "hello\n")
    asks, allows = write("asks", RULES.format(work("top"), ASKS)), write("allows", RULES.format(work("top"), ""))
    with sandbox("box", "--policy", asks):
        begin_reading()
        call("snapshot", "box", work("snap")).expect(0)
        assert question("/w/secret")
        # It ends with its questions open.
        call("stop", "box").expect(0)
    try:
        call("restore", "--policy", asks, work("snap"), "again").expect(0)
        call("ask", "again", question("/w/secret", "again"), "once").expect(0)
        got("again", b"hello\n0\n")
        assert none_open("again")
        call("restore", "--policy", allows, work("snap"), "other").expect(0)
        got("other", b"hello\n0\n")
        assert none_open("other")
    finally:
        for name in ("again", "other"):
            call("kill", name)


@limit(900)
def test_file_ask_faults():
    """Pauses, a client that goes, an answer that is late: the question stays or ends with what it is about."""
    write("top/secret", "hello\n")
    asks = RULES.format(work("top"), ASKS)
    with sandbox("box", "--policy", write("asks", asks)):
        waits = executing("box", "cat", "/w/secret")
        number = question("/w/secret")
        call("pause", "box").expect(0)
        assert question("/w/secret") == number
        call("ask", "box", number, "once").expect(0)
        assert waits.poll() is None and none_open()
        call("resume", "box").expect(0)
        waits.wait().expect(0, b"hello\n")
        # The client goes, and its program with it.
        waits = executing("box", "cat", "/w/secret")
        number = question("/w/secret")
        waits.signal(signal.SIGKILL)
        wait_until(none_open, "the end of the question")
        call("ask", "box", number, "once").expect_error()
        # Too late.
        call("policy", "set", "box", write("short", asks.replace("10m", "1s"))).expect(0)
        denied = execute("box", "cat", "/w/secret")
        assert denied.status == 1 and b"denied" in denied.stderr, denied
        assert none_open()
        execute("box", "sh", "-c", "echo x >/w/new; cat /w/new").expect(0, b"x\n")
        # All stands still until the answer.
        call("policy", "set", "box", write("freeze", asks.replace("wait=10m", "freeze"))).expect(0)
        waits = executing("box", "cat", "/w/secret")
        number = question("/w/secret")
        execute("box", "true").expect_error("stands still until a question is answered: cordon ask box")
        call("ask", "box", number, "once").expect(0)
        waits.wait().expect(0, b"hello\n")
        execute("box", "true").expect(0)
