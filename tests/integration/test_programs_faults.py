# SPDX-License-Identifier: Apache-2.0
"""Exec rules and the log of processes under load, in copies, and while files and policies change."""
import json
import os
import shutil
import time

import cordon
from cordon import call, limit, run, wait_until, work
from sandboxes import ask, connect, execute, executing, sandbox
from test_policy import policy
from test_programs import RULES, log, runs, shared


def events(lines, what):
    return [line for line in lines if line.get("event") == what]


def counted(lines):
    """What the log has of processes, and what it only counts."""
    lost = sum(int(line["detail"].partition("count=")[2]) for line in events(lines, "process-lost"))
    return (sum(len(events(lines, "process-" + what)) for what in ("start", "end", "denied")) + lost +
            sum(line.get("processes", 0) for line in events(lines, "gap")))


@limit(600)
def test_a_storm_beside_new_policies():
    """Executions while the policy is replaced end as both policies say, and none is missing in the log or its counts."""
    times = cordon.many(20, 10000)
    rules = RULES + "audit processes\n"
    with sandbox("box", "--policy", shared(rules)):
        storm = executing("box", "/w/execs", "storm", str(times))
        changes = 0
        while storm.poll() is None:
            changes += 1
            call("policy", "set", "box", shared(f"{rules}exec deny /none/{changes}\n")).expect(0)
            time.sleep(0.3)             # an emulated kernel would do nothing but take policies
        storm.wait().expect(0, b"", b"")
        assert changes > 1
        lines = log()
        denied = runs(lines).count("/tmp/denied/p")
        assert 1 <= denied <= changes + 1, (denied, changes)
        # The storm's own start and end, a fork, a start and an end for each allowed one.
        assert counted(lines) + denied == 2 + times * (10 + 2), (counted(lines), denied, changes)
        known = events(lines, "process-denied")
        assert {line["object"] for line in known} == {"/tmp/denied/p"}, known[:2]
        call("audit", "--verify", "box").expect(0)


@limit(300)
def test_odd_arguments():
    """Arguments of 128 KiB and of all bytes are executed, and are in the log, cut and escaped."""
    run("/w/execs", "odd", "1", options=("--policy", shared(RULES + "audit processes\n"), "--audit", work("log"))).expect(
        0, b"longest: 42\nlonger: 7\neach byte: 42\n")
    lines = [json.loads(line) for line in call("audit", "--json", work("log")).expect(0).stdout.splitlines()]
    starts = [line["detail"] for line in events(lines, "process-start") if line["object"] == "/tmp/allowed/p"]
    assert len(starts) == 2 and len(events(lines, "process-end")) == 4, lines
    assert len(starts[0]) == 512 and starts[0].partition(" argv=")[2].startswith("p target aaaa"), starts
    assert starts[0].endswith("aaaa..."), starts
    assert starts[1].partition(" argv=")[2].startswith("p target \x01\x02\x03"), starts
    assert " !\"#$%&'()*+" in starts[1] and "xyz{|}~" in starts[1], starts
    call("audit", "--verify", work("log")).expect(0)


@limit(300)
def test_a_file_is_replaced_while_it_is_decided():
    """The host replaces a file while a person decides about its path: the other file is asked about, and runs."""
    rules = shared("exec ask /w/a\nexec allow /bin/busybox\non-ask wait=5m\n")
    shutil.copy(work("top/execs"), work("top/a"))
    with sandbox("box", "--policy", rules):
        client = connect("box")
        ask(client, op="questions", id=1, watch=True)

        def answer(verb):
            while (event := json.loads(client.recv(1 << 18)))["event"] != "asked":
                pass
            call("ask", "box", str(event["question"]), verb).expect(0)

        first = executing("box", "/w/a", "target")
        while (event := json.loads(client.recv(1 << 18)))["event"] != "asked":
            pass
        with open(work("top/new"), "w", encoding="ascii") as new:
            new.write("#!/bin/busybox sh\nexit 7\n")
        os.chmod(work("top/new"), 0o755)
        os.rename(work("top/new"), work("top/a"))
        call("ask", "box", str(event["question"]), "once").expect(0)
        answer("once")
        first.wait().expect(7)
        for verb, status in (("once", 7), ("no", 126)):
            again = executing("box", "/w/a", "target")
            answer(verb)
            again.wait().expect(status)
        client.close()


@limit(400)
def test_copies_go_by_their_own_policies():
    """A copy goes by its own policy, whatever its parent's guest remembers, and asks again what waited."""
    def rules(allowed, denied):
        return policy(f"exec ask /tmp/ask/*\nexec allow /tmp/{allowed}/* /bin/busybox\nexec deny /tmp/{denied}/*\n"
                      "on-ask wait=10m\n")

    script = "for i in a b; do /tmp/$i/true 2>/dev/null; echo $?; done"
    with sandbox("box", "--policy", rules("a", "b")):
        execute("box", "sh", "-c", "for i in a b ask; do mkdir /tmp/$i; cp /bin/busybox /tmp/$i/true; done; " + script +
                "; (/tmp/ask/true; echo $? >/tmp/answer) >/dev/null 2>&1 &").expect(0, b"0\n126\n")

        def questions(name):
            client = connect(name)
            try:
                return ask(client, op="questions", id=1)["questions"]
            finally:
                client.close()

        def decide(name, verb, status):
            wait_until(lambda: questions(name), "a question")
            call("ask", name, str(questions(name)[0]["question"]), verb).expect(0)
            wait_until(lambda: execute(name, "cat", "/tmp/answer").stdout == status, "its process")

        wait_until(lambda: questions("box"), "a question")
        call("snapshot", "box", work("snap")).expect(0)
        call("fork", "box", "1").expect(0)
        decide("box", "no", b"126\n")
        execute("box-1", "sh", "-c", script).expect(0, b"0\n126\n")
        decide("box-1", "once", b"0\n")
        call("kill", "box-1").expect(0)
        call("restore", "--policy", rules("b", "a"), work("snap"), "copy").expect(0)
        execute("copy", "sh", "-c", script).expect(0, b"126\n0\n")
        decide("copy", "once", b"0\n")
        call("kill", "copy").expect(0)
        execute("box", "sh", "-c", script).expect(0, b"0\n126\n")
    with sandbox("box", "--policy", policy("")):
        execute("box", "true").expect(0)
        call("snapshot", "box", work("free")).expect(0)
    call("restore", "--policy", rules("a", "b"), work("free"), "copy").expect_error("exec rules must be there from the")
    call("restore", "--policy", policy(""), work("free"), "copy").expect(0)
    call("kill", "copy").expect(0)
