# SPDX-License-Identifier: Apache-2.0
"""Decisions by a person on a running sandbox: rules added and taken back, questions that become rules."""
import json
import os
import re
import socket
import tempfile
import time

import cordon
from cordon import Process, call, limit, wait_until, work, write
from sandboxes import ask, connect, execute, executing, sandbox
from test_network import in_world


def shared(rules, name="p"):
    """A policy that shares a directory with a, b and secret/key in it."""
    for file in ("a", "b", "secret/key"):
        write("top/" + file, file + "\n")
    return write(name, f"policy 1\nshare {work('top')} /w\n{rules}")


def show(name="box"):
    return call("policy", "show", name).expect(0).stdout.decode()


@limit(600)
def test_rules_are_added_and_taken_back():
    """policy add and undo: at once in force, named by show, why and the log; what is refused changes nothing."""
    p = shared("file hide /w/secret\nfile read /w/a\nfile write /w/b\n")
    with sandbox("box", "--policy", p):
        text = show()
        call("policy", "undo", "box").expect_error("no line has been added")
        assert execute("box", "sh", "-c", "echo x > /w/a").status != 0
        call("policy", "add", "box", "file write /w/a").expect(0, b"added:2: file write /w/a\n", b"")
        execute("box", "sh", "-c", "echo x > /w/a").expect(0)
        # The words of a rule are joined.
        call("policy", "add", "box", "file", "deny", "/w/b").expect(0, b"added:3: file deny /w/b\n", b"")
        assert execute("box", "cat", "/w/b").status != 0
        assert show() == f"# --- added\npolicy 1\nfile write /w/a\nfile deny /w/b\n# --- {p}\n" + text
        assert "rule: added:3: file deny /w/b" in call("why", "box").expect(0).stdout.decode()
        lines = [json.loads(line) for line in call("audit", "--json", "box").expect(0).stdout.splitlines()]
        assert {"added:2", "added:3"} <= {line.get("rule") for line in lines}, lines
        before = show()
        for line, *words in (("file wrte /w/b", "added:4:6: unknown verdict"), ("share /tmp /x", "can't be added"),
                             ("limit memory=64M", "can't be added"), ("", "a rule is needed"),
                             ("file read /w/secret/key", "stays hidden by", f"{p}:3"),
                             ("file read /w/b", "never decides", "added:3"), ("file read /w/\x1b[1m", "0x1b"),
                             ("file read /w/b\nshare /tmp /x", "one line"), ("file read /x/**", "covers no share")):
            call("policy", "add", "box", line).expect_error(*words)
        call("policy", "add", "box").expect_error("which rule?")
        assert show() == before
        # What a rule would have changed: only what it decides, and not differently from now.
        dry = call("policy", "add", "--dry-run", "box", "file hide /w/a").expect(0, stderr=b"").stdout.decode()
        assert dry.startswith("file hide /w/a\n  broader: file hide /w/*\n  broader: file hide /w/**\n"), dry
        call("policy", "undo", "box").expect(0, b"taken back: file deny /w/b\n", b"")
        dry = call("policy", "add", "--dry-run", "box", "file read /w/secret/**").expect(0).stdout.decode()
        assert "\n  narrower: file read /w/secret/*\n0 of " in dry, dry
        dry = json.loads(call("policy", "add", "--dry-run", "--json", "box", "file deny /w/b").expect(0).stdout)
        assert dry["different"] == 0 and dry["line"] == "file deny /w/b" and dry["narrower"] == [], dry
        execute("box", "cat", "/w/b").expect(0)
        dry = json.loads(call("policy", "add", "--dry-run", "--json", "box", "file deny /w/b").expect(0).stdout)
        assert dry["different"] == 1 <= dry["decisions"] and dry["unknown"] == 0, dry
        assert {**dry["changes"][0], "seq": 0} == {"seq": 0, "class": "file", "op": "read", "object": "/w/b",
                                                   "verdict": "allow", "would_be": "deny", "rule": "added:3"}, dry
        call("policy", "add", "--dry-run", "box", "file wrte /w/b").expect_error("unknown verdict")
        assert show().count("\nfile deny") == 0
        call("policy", "undo", "box").expect(0, b"taken back: file write /w/a\n", b"")
        assert execute("box", "sh", "-c", "echo x > /w/a").status != 0
        assert show() == text
    call("policy", "add", "box", "file read /w/a").expect_error("box")


@limit(600)
def test_operators_who_change_a_policy_at_once():
    """No line is lost when many add at once; a policy made from an older one is refused."""
    p = shared("file write /w/**\n")
    with sandbox("box", "--policy", p):
        adds = [Process("policy", "add", "box", f"file deny /w/n{number}") for number in range(8)]
        for add in adds:
            add.wait().expect(0)
        lines = [line for line in show().splitlines() if line.startswith("file deny")]
        assert sorted(lines) == [f"file deny /w/n{number}" for number in range(8)], lines
        with connect() as client:
            client.send(json.dumps({"op": "policy", "id": 1}).encode())
            body, fds, _flags, _address = socket.recv_fds(client, 1 << 18, 1)
            old = json.loads(body)
            call("policy", "undo", "box").expect(0)
            before = show()

            def replace(**more):
                request = {"op": "policy-set", "id": 2, **{key: old[key] for key in ("name", "folder", "cwd", "parts")}}
                socket.send_fds(client, [json.dumps({**request, **more}).encode()], fds[:1])
                return json.loads(client.recv(1 << 18))
            reply = replace(unless_changed=old["version"])
            assert not reply["ok"] and reply["changed"] and "meanwhile" in reply["error"], reply
            assert not replace(unless_changed="x")["ok"]
            assert show() == before
            now = ask(client, op="policy", id=3)["version"]
            assert now == old["version"] + 1, (now, old)
            assert replace(unless_changed=now) == {"id": 2, "ok": True}
            assert show().count("file deny") == 8
            # The monitor parses what was added as the client did.
            added = "policy 1\nlimit memory=64M\n"
            with tempfile.TemporaryFile() as file:
                file.write((added + open(p, encoding="utf-8").read()).encode())
                file.flush()
                socket.send_fds(client, [json.dumps({
                    "op": "policy-set", "id": 4, "name": old["name"], "folder": old["folder"], "parts": [
                        {"name": "added", "bytes": len(added)}, old["parts"][1]]}).encode()], [file.fileno()])
                assert "added:2:1: 'limit' can't be added" in json.loads(client.recv(1 << 18))["error"]
            assert show().count("file deny") == 8
            # Without the field it is replaced in any case.
            assert replace()["ok"]
            os.close(fds[0])
        # The log has who added what.
        changes = [json.loads(line)["detail"] for line in call("audit", "--json", "box").expect(0).stdout.splitlines()
                   if b'"policy-set"' in line]
        assert re.fullmatch(r"by uid 0, process \d+, added:2: file deny /w/n\d", changes[0]), changes
        assert re.fullmatch(r"by uid 0, process \d+, took added:9 back: file deny /w/n\d", changes[8]), changes
        call("policy", "add", "box", "net allow tls a.test:443").expect_error("without a network")
        call("policy", "add", "--dry-run", "box", "net allow tls a.test:443").expect_error("without a network")
        # A fork has the added rules of its parent, and may not have more.
        call("fork", "box", "1").expect(0, b"box-1\n")
        try:
            assert show("box-1") == show() and "file deny /w/n0" in show("box-1")
            call("policy", "undo", "box-1").expect(0)
            assert show("box-1") != show()
        finally:
            call("kill", "box-1")
        # policy set is a policy of its own: nothing that was added stays.
        call("policy", "set", "box", p).expect(0)
        assert show().count("file deny") == 0 and "added" not in show()


ASKS = """policy 1
net ask tcp  *.test:8000
net ask tls  *:443
"""

OPERATORS = r"""set -e
export XDG_RUNTIME_DIR="$work"
cleanup() { exec 3>&-; "$cordon" kill box 2>/dev/null || true; }
trap cleanup EXIT
await() { while ! grep -q "$1" out; do kill -0 $operator; sleep 0.1; done; }
try() { "$cordon" exec box -- /tmp/net $1 >>probes & probe=$!; await "^$2: "; }
cd "$work"
"$cordon" start --policy "$policy" --audit "$audit" box </dev/null
mkfifo in; "$cordon" ask box <in >out 2>err & operator=$!
exec 3>in
"$cordon" exec box -- sh -c 'cat >/tmp/net; chmod 755 /tmp/net' <"$net"

try tcp:good.test:8000 1
"$cordon" ask --save box 1 always
wait $probe
"$cordon" exec box -- /tmp/net tcp:good.test:8000 >>probes
"$cordon" policy undo box

try tcp:good.test:8000 2
"$cordon" ask box 2 once >one 2>&1 & a=$!; "$cordon" ask box 2 no >two 2>&1 & b=$!
if wait $a; then wait $b || echo one counts; else wait $b && echo one counts; fi
cat one two; wait $probe

try tls:tls.test:443:tls.test 3
"$cordon" policy add box net deny tls tls.test:443
await '^3: the policy was changed and denies it'
wait $probe
"$cordon" ask box 3 always 2>&1 || echo $?
"$cordon" policy undo box
"$cordon" why box | tail -n 1

try tls:tls.test:443:tls.test 4
printf 'n\n' | script -qec '"$cordon" ask box 4 never' /dev/null | tr -d '\r'
"$cordon" policy show box | grep -c added || true
printf '4 never\nyes\n' | script -qec '"$cordon" ask --save box' /dev/null | tr -d '\r'
wait $probe
exec 3>&-
wait $operator
"$cordon" policy show box
"$cordon" stop box
trap - EXIT
for file in probes out err policy; do echo "--- $file"; cat $file; done
"""


@limit(900)
def test_decisions_become_rules():
    """always and never: shown, added, saved, taken back; two operators at once; a policy that decides meanwhile."""
    cordon.need_program("script")
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as directory:
        environment = {"work": directory, "cordon": cordon.PROGRAM, "net": cordon.program("net"),
                       "audit": os.path.join(directory, "audit"), "policy": "policy"}
        with open(os.path.join(directory, "policy"), "w", encoding="utf-8") as file:
            file.write(ASKS)
        result = in_world(["bash", "-c", OPERATORS], environment)
        audit = cordon.audit_log(environment["audit"])
    assert result["status"] == 0, result
    text = re.sub(r"\d+ of \d+ logged", "N of N logged", result["stdout"])
    shown, probes, out, errors, saved = re.split(r"--- (?:probes|out|err|policy)\n(?!policy 1\nnet ask)", text)
    reach = "net allow tcp good.test:8000\n  broader: net allow tcp good.test:*\n  narrower: net allow tls good.test:8000\n"
    assert shown.startswith(f"{reach}N of N logged decisions would have been different\n"
                            "added:2: net allow tcp good.test:8000\n" + f"{directory}/policy:2: saved\n"
                            "taken back: net allow tcp good.test:8000\n"), shown
    assert shown.count("one counts\n") == 1 and len(re.findall(r"question [23] is not open: ", shown)) == 2, shown
    assert "added:2: net deny tls tls.test:443\ncordon: question 3 is not open: 'cordon ask box' shows the open ones\n125\n" \
        "taken back: net deny tls tls.test:443\n" \
        "An operator may approve it when it is tried again: 'cordon ask box'; 'cordon policy add box LINE' adds the line " \
        "now.\n" in shown, shown
    # On a terminal: no, and then yes. The file has the rule below the one that was saved before.
    assert shown.count("add this rule to the policy of box? [y/N] ") == 2, shown
    assert shown.count("added:2: net deny tls tls.test:443\n") == 2, shown
    assert "not saved: " in shown and "has changed since the sandbox read it" in shown, shown
    assert saved == "policy 1\nnet allow tcp good.test:8000\nnet ask tcp  *.test:8000\nnet ask tls  *:443\n", saved
    assert probes.count("tcp:good.test:8000: got 220 first\n") in (2, 3), probes
    assert probes.count("tls:tls.test:443:tls.test: connect: Connection refused\n") == 2, probes
    # The other operator sees who decided, or what did.
    assert re.search(r"^1: always by uid 0, process \d+$", out, re.M), out
    assert re.search(r"^2: (once|no) by uid 0, process \d+$", out, re.M), out
    assert "\n3: the policy was changed and denies it\n" in out and not errors, (out, errors)
    assert re.search(r"^4: never by uid 0, process \d+$", out, re.M), out
    assert "   net connect by an unknown process; rule: net ask tcp *.test:8000\n   before: nothing\n" in out, out
    assert "\n   before: asked 1 time, 2 allowed, 0 denied\n" in out, out
    answers = [line["detail"] for line in audit if line.get("event") == "answer"]
    assert answers[0].startswith("question=1 answer=always by uid 0"), answers
    assert answers[2] == "question=3 answer=none: the policy was changed and denies it", answers
    rules = [(line["rule"], line["verdict"]) for line in audit if line.get("op") == "connect"]
    assert ("added:2", "allow") in rules and ("added:2", "deny") in rules, rules


SAVERS = r"""set -e
export XDG_RUNTIME_DIR="$work"
trap '"$cordon" kill box 2>/dev/null || true' EXIT
cd "$work"
"$cordon" start --policy policy box </dev/null
mkfifo in; "$cordon" ask box <in >out & operator=$!
exec 3>in
"$cordon" exec box -- sh -c 'cat >/tmp/net; chmod 755 /tmp/net; for i in 1 2 3 4; do /tmp/net tcp:good.test:800$i & done; wait' <"$net" &
probes=$!
for i in 1 2 3 4; do while ! grep -q "^$i: " out; do kill -0 $operator; sleep 0.1; done; done
for i in 1 2 3 4; do "$cordon" ask --save --yes box $i never >saver$i 2>&1 & savers="$savers $!"; done
for i in $savers $probes; do wait $i; done
exec 3>&-; wait $operator
"$cordon" policy show box; "$cordon" stop box; trap - EXIT
cat saver*; echo ---; cat policy
"""


@limit(600)
def test_operators_who_save_at_once():
    """Each rule is in the policy file once, and in the sandbox's policy."""
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as directory:
        with open(os.path.join(directory, "policy"), "w", encoding="utf-8") as file:
            file.write("policy 1\nnet ask tcp *.test:*\n")
        result = in_world(["bash", "-c", SAVERS], {"work": directory, "cordon": cordon.PROGRAM,
                                                  "net": cordon.program("net")})
    assert result["status"] == 0, result
    shown, saved = result["stdout"].split("---\npolicy 1\n")[-2:]
    rules = [f"net deny tcp good.test:800{number}" for number in range(1, 5)]
    lines = saved.splitlines()
    assert sorted(lines[:-1]) == rules and lines[-1] == "net ask tcp *.test:*", result
    assert shown.count("/policy:") == shown.count(": saved\n") == 4, result
    assert all(rule in shown for rule in rules), result


def denials(name="box"):
    text = execute(name, "cat", "/run/cordon/denials").expect(0, stderr=b"").stdout
    return [json.loads(line) for line in text.splitlines()]


def denials_of(count, name="box"):
    """The denials once there are so many lines: they are written a moment after the operation."""
    for _i in range(100):
        listed = denials(name)
        if len(listed) >= count:
            return listed
        time.sleep(0.1)
    raise AssertionError(listed)


@limit(600)
def test_the_sandbox_reads_its_denials():
    """/run/cordon/denials: what was denied and what would allow it, which then works; nothing hidden; read-only."""
    policy = shared("file hide /w/secret\nfile read /w/a /w/CLAUDE.md\nfile write /w/b\n")
    write("top/CLAUDE.md", "orders\n")
    with sandbox("box", "--policy", policy):
        assert denials() == []
        execute("box", "cat", "/w/a").expect(0)
        for command in ("cat /w/secret/key", "for i in 1 2 3; do echo x >/w/a; done", "echo x >/w/CLAUDE.md"):
            assert execute("box", "sh", "-c", command).status != 0
        listed = denials_of(2)
        assert [(line["object"], line["retry"], line.get("allow")) for line in listed] == [
            ("/w/a", "after-approval", "file write /w/a"), ("/w/CLAUDE.md", "never", None)], listed
        assert listed[0]["times"] == 3 and listed[0]["rule"] == "file read /w/a /w/CLAUDE.md", listed
        call("policy", "add", "box", listed[0]["allow"]).expect(0)
        execute("box", "sh", "-c", "echo x >/w/a").expect(0)
        # Sandbox root can neither write there, nor put anything in the way; other users can read.
        for command in ("echo x >/run/cordon/denials", "rm /run/cordon/denials", "ln -s /w/a /run/cordon/denials.new",
                        "umount /run/cordon", "mv /run/cordon /run/x", "mount -o remount,rw,size=1m /run/cordon"):
            assert execute("box", "sh", "-c", command).status != 0, command
        execute("box", "cat", "/run/cordon/denials", options=("--user", "nobody")).expect(0)
        # A copy has its parent's file until something is denied there.
        call("fork", "box", "1").expect(0, b"box-1\n")
        try:
            assert denials("box-1") == denials()
            assert execute("box-1", "mkdir", "/w/new").status != 0
            for _i in range(100):
                if len(copied := denials("box-1")) == 1:
                    break
                time.sleep(0.1)
            assert copied[0]["object"] == "/w/new", copied
        finally:
            call("kill", "box-1")


# In the lab the check of a proposal takes over 100 ms, and then the next one is looked at later, as docs/policy.md says.
SHOWN_AT_ONCE = 1 if cordon.IN_LAB else 6


def propose(*arguments):
    """A program in the sandbox that proposes; ended: its status and what it printed."""
    if cordon.IN_LAB:
        time.sleep(10)
    return executing("box", "cordon-guest", "propose", *arguments)


class Operator:
    """An operator's connection, with the events that are not yet taken."""

    def __init__(self):
        self.client = connect()
        assert ask(self.client, op="questions", id=1, watch=True)["questions"] == []

    def event(self, kind):
        body = json.loads(self.client.recv(1 << 18))
        assert body["event"] == kind, body
        return body


@limit(900)
def test_the_guest_proposes_rules():
    """cordon-guest propose: approved, rejected, no rule, no operator, withdrawn; a flood of proposals."""
    rules = "file hide /w/secret\nfile read /w/a\nfile write /w/b\n"
    policy, deny = shared(rules), shared("on-ask deny\n" + rules, "deny")
    with sandbox("box", "--policy", policy):
        operator = Operator()
        for line, words in (("file wrte /w/a", b"proposal:2:6: unknown verdict"), ("include open", b"a rule is needed"),
                            ("limit memory=1G", b"a rule is needed"), ("file read /w/a", b"allows nothing"),
                            ("file deny /w/a", b"allows nothing"), ("net allow tls a.test:443", b"without a network"),
                            ("file write /w/secret/key", b"its own rules decide already"),
                            ("file write /w/\x1b[2J", b"proposal:2:")):
            result = propose(line).wait().expect(2, b"")
            assert words in result.stderr and policy.encode() not in result.stderr, result
        execute("box", "cordon-guest").expect(2, b"")
        # Shown with the guest's reason made harmless, and what the rule adds; approved, it works at once.
        waits = propose("file write /w/a", "--reason", "to\x1b[2J work")
        shown = operator.event("asked")
        assert shown["kind"] == "proposal" and shown["reason"] == "to\\x1b[2J work", shown
        assert shown["adds"].startswith("it allows more: file /w/a (write, added:2; before: read, "), shown
        number = str(shown["question"])
        call("ask", "box", number, "once").expect_error("a proposal becomes a rule")
        assert execute("box", "sh", "-c", "echo x >/w/a").status != 0
        call("ask", "--yes", "box", number, "always").expect(0)
        waits.wait().expect(0, b"approved: added:2\n", b"")
        execute("box", "sh", "-c", "echo x >/w/a").expect(0)
        assert operator.event("over")["how"].startswith("always by uid")
        call("ask", "box", number, "always").expect_error(f"question {number} is not open: 'cordon ask box' shows the open ones")
        # Rejected with a reason; by the REPL as well. What was decided is not remembered.
        for words in (("ask", "box", "N", "no", "use", "b"), ("attach", "-c", ":deny N use b", "box")):
            waits = propose("file write /w/c")
            number = str(operator.event("asked")["question"])
            call(*(word.replace("N", number) for word in words)).expect(0)
            waits.wait().expect(1, b"", b"rejected: use b\n")
            assert operator.event("over")["how"].endswith(": use b")
        # The program gives up, or is killed: the proposal is gone.
        result = propose("file write /w/d", "--timeout", "1").wait()
        assert result.status == 3 and b"time is up" in result.stderr, result
        assert operator.event("asked") and operator.event("over")["how"] == "none: the program has gone"
        # Many at once: each gets a result, few are shown, and a command runs meanwhile.
        flood = executing("box", "sh", "-c", "for i in $(seq 24); do cordon-guest propose \"file write /w/n$i\""
                          " --timeout 600 2>&1 & done; wait")
        for _i in range(SHOWN_AT_ONCE):
            operator.event("asked")
        execute("box", "true").expect(0)
        with connect() as client:
            assert SHOWN_AT_ONCE <= len(ask(client, op="questions", id=1)["questions"]) <= 16
        # The last operator leaves: they wait for the next one. A policy that has none asked ends them all.
        operator.client.close()
        with connect() as client:
            assert len(ask(client, op="questions", id=1)["questions"]) >= SHOWN_AT_ONCE
        call("policy", "set", "box", deny).expect(0)
        lines = flood.wait().expect(0).stdout.decode().splitlines()
        assert len(lines) == 24 and all(line.startswith("undecided: ") for line in lines), lines
        assert SHOWN_AT_ONCE <= lines.count("undecided: the policy was changed and says on-ask deny") <= 16, lines
        with connect() as client:
            assert ask(client, op="questions", id=1)["questions"] == []
        assert show().count("\nfile write") == 1, show()
        log = [json.loads(line) for line in call("audit", "--json", "box").expect(0).stdout.splitlines()]
        asked = [line["object"] for line in log if line.get("event") == "ask"]
        assert asked.count("file write /w/c") == 2 and "file write /w/\x1b[2J" in asked, asked
        assert len(asked) == len([line for line in log if line.get("event") == "answer"]), asked


def waiting():
    """What `cordon ask` lists once a question is open."""
    wait_until(lambda: call("ask", "box").expect(0, stderr=b"").stdout, "an open question")
    return call("ask", "box").stdout.decode()


@limit(600)
def test_proposals_wait_for_an_operator():
    """No operator is attached: a proposal waits for cordon ask, as long as it or on-ask says, and freezes nothing."""
    rules = "file read /w/a\nfile write /w/b\n"
    policies = {way: shared(f"{way and 'on-ask ' + way}\n{rules}", "p" + way) for way in
                ("", "freeze", "wait=2s", "wait=1h", "deny")}
    with sandbox("box", "--policy", policies[""]):
        for way, answer, status, said in (("", ("no", "use", "b"), 1, b"rejected: use b\n"),
                                          ("wait=1h", ("no",), 1, b"rejected: an operator rejected it\n"),
                                          ("freeze", ("always",), 0, b"approved: added:2\n")):
            call("policy", "set", "box", policies[way]).expect(0)
            waits = propose("file write /w/a", "--reason", "to work")
            shown = waiting()
            number = shown.split(":")[0]
            assert "the guest proposes: file write /w/a\n   reason (the guest's word): to work\n" in shown, shown
            execute("box", "echo", "runs").expect(0, b"runs\n")
            call("ask", "box", number, *answer).expect(0)
            result = waits.wait()
            assert (result.status, result.stdout + result.stderr) == (status, said), (way, result)
        execute("box", "sh", "-c", "echo x >/w/a").expect(0)
        # Its own time or the policy's, whichever is over first.
        result = propose("file write /w/c", "--timeout", "1").wait()
        assert result.status == 3 and b"time is up" in result.stderr, result
        call("policy", "set", "box", policies["wait=2s"]).expect(0)
        propose("file write /w/c", "--timeout", "600").wait().expect(3, b"", b"undecided: no operator decided in time\n")
        call("policy", "set", "box", policies["deny"]).expect(0)
        propose("file write /w/c").wait().expect(3, b"", b"undecided: the policy says on-ask deny\n")
        call("ask", "box").expect(0, b"", b"")
