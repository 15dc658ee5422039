# SPDX-License-Identifier: Apache-2.0
"""Rules ask-read and ask-write: a program waits in open() until an operator decides."""
import json

from cordon import call, limit, wait_until, work, write
from sandboxes import execute, executing, sandbox

RULES = "policy 1\nshare {} /w\non-ask wait=10m\n{}file write /w/**\n"
ASKS = "file ask-read /w/secret\nfile ask-write /w/asked\n"


def question(path):
    """The number of the open question about a path."""
    shown = []

    def open_now():
        shown[:] = [line for line in call("ask", "box").expect(0).stdout.decode().splitlines() if path in line]
        return shown

    wait_until(open_now, "the question")
    return shown[0].split(":")[0]


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
        wait_until(lambda: not call("ask", "box").expect(0).stdout, "the end of the question")
        # Another policy decides.
        waits = executing("box", "cat", "/w/secret")
        question("/w/secret")
        call("policy", "set", "box", allows).expect(0)
        waits.wait().expect(0, b"hello\n")
        wait_until(lambda: not call("ask", "box").expect(0).stdout, "the end of the question")
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
