# SPDX-License-Identifier: Apache-2.0
"""Policies and the audit log through the verbs: read, refused, explained, replaced, inherited, verified."""
import json
import os

from cordon import Process, call, limit, run
from test_life import execute, sandbox


def work(name=""):
    return os.path.join(os.environ["CORDON_TEST_BASE"], "work", name)


def write(name, text):
    os.makedirs(os.path.dirname(work(name)), exist_ok=True)
    with open(work(name), "w", encoding="utf-8") as file:
        file.write(text)
    return work(name)


def policy(text, name="p"):
    return write(name, "policy 1\n" + text)


def shared(rules):
    """A policy over a folder with a, b, and secret/key in it."""
    for name in ("a", "b", "secret/key"):
        write("top/" + name, name + "\n")
    return policy(f"share {work('top')} /w\n{rules}")


# --- without a sandbox -------------------------------------------------------------------------------

def test_policy_check_prints_and_warns():
    good = policy("limit cpus=2\nshare top /w\nfile hide /w/.env\nfile write /w/**\n")
    write("top/x", "")
    result = call("policy", "check", good).expect(0)
    text = result.stdout.decode()
    for line in (f"{good}:2: host: limit cpus", f"{good}:3: host: share {work('top')} /w",
                 f"{good}:4: host: file hide /w/.env", f"{good}:5: host: file write /w/**"):
        assert line in text, (line, result)
    assert b".git/hooks/pre-commit is writable" in result.stderr, result
    call("policy", "check", "--require", "host", good).expect(0)
    assert b"writable" not in call("policy", "check", "workspace").expect(0).stderr
    call("policy", "check", "--require", "guest", good).expect_error("only host")
    call("policy", "check").expect_error("policy check", "FILE")
    call("policy", "chek", good).expect_error("did you mean 'check'")


def test_policy_bad_files_run_nothing():
    """What is wrong is told with its place by every verb that reads a policy, before anything is made."""
    for text, *words in (("fil read /w\n", ":2:1:", "did you mean 'file'"),
                         ("share . /w\nfile write /w/**\nfile read /w/a\n", ":4:1:", "never decides"),
                         ("exec allow /bin/**\n", ":2:1:", "not enforced by this version"),
                         ("file read /w/**\n", ":2:1:", "no share is there")):
        bad = policy(text)
        call("policy", "check", bad).expect_error(bad, *words)
        call("run", "--policy", bad, "--", "true").expect_error(bad, *words)
        call("start", "--policy", bad, "box").expect_error(bad, *words)
    call("run", "--policy", work("absent"), "--", "true").expect_error("absent", "No such file")
    call("run", "--policy", "lockd", "--", "true").expect_error("lockd", "no preset")
    call("run", "--policy", work(), "--", "true").expect_error("not a plain file")
    os.mkfifo(work("fifo"))
    call("run", "--policy", work("fifo"), "--", "true").expect_error("not a plain file")
    call("run", "--share", "nowhere", "--", "true").expect_error("HOST:GUEST")


def test_policy_explain_and_presets():
    p = policy("share . /w\nfile read /w/r*\nfile write /w/**\n")
    lines = call("policy", "explain", p, "file", "/w/rx").expect(0).stdout.decode().splitlines()
    verdicts = {line.split()[0]: line.split()[1] for line in lines}
    assert verdicts["read"] == "allow" and verdicts["write"] == "deny", lines
    assert all(f"{p}:3: file read /w/r*" in line for line in lines), lines
    call("policy", "explain", p, "fil", "/w").expect_error("no class")
    names = call("policy", "presets").expect(0).stdout.split()
    assert names == [b"locked", b"workspace", b"open"], names
    for name in names:
        assert b"policy 1\n" in call("policy", "presets", name.decode()).expect(0).stdout
    call("policy", "presets", "x").expect_error("no preset")


def test_policy_limits_bound_options():
    p = policy("limit memory=128M cpus=2\n")
    call("run", "--policy", p, "-m", "256M", "--", "true").expect_error("--memory", f"{p}:2")
    call("run", "--policy", p, "-c", "3", "--", "true").expect_error("--cpus", f"{p}:2")
    call("start", "--policy", policy("limit wall=1m\n", "q"), "--wall", "2m", "box").expect_error("--wall")
    call("run", "--policy", shared("file write /w/**\n"), "--audit", work("top/log"), "--", "true") \
        .expect_error("the audit log", "where the guest could change it")


# --- with one ----------------------------------------------------------------------------------------

@limit(600)
def test_policy_run_logs_learns_and_replays():
    """One command under rules: what it may, what is logged, and what can be made of the log."""
    p = shared("file hide /w/secret\nfile read /w/a\nfile write /w/**\n")
    log = work("log")
    script = ("cat /w/a; echo x > /w/a; cat /w/secret/key; ls /w; echo y > /w/n; "
              "mv /w/a /w/c; ln /w/a /w/l; rm /w/b")
    result = run("sh", "-c", script, options=["--policy", p, "--audit", log])
    assert result.stdout == b"a\na\nb\n" and result.status == 0, result
    assert sorted(os.listdir(work("top"))) == ["a", "n", "secret"], os.listdir(work("top"))
    with open(log, encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[0]["event"] == "open" and entries[-1]["event"] == "close"
    seen = {(entry.get("op"), entry.get("object"), entry.get("verdict")): entry for entry in entries}
    assert seen["write", "/w/a", "deny"]["rule"] == f"{p}:4", seen.keys()
    assert seen["create", "/w/n", "allow"]["rule"] == f"{p}:5", seen.keys()
    assert seen["rename", "/w/a", "deny"]["other"] == "/w/c", seen.keys()
    assert ("remove", "/w/b", "allow") in seen, seen.keys()

    assert b"are whole" in call("audit", "--verify", log).expect(0, None, b"").stdout
    denied = call("audit", log, "--verdict", "deny").expect(0).stdout.splitlines()
    assert denied and all(b" deny " in line for line in denied), denied
    assert call("audit", log, "--json").expect(0).stdout == open(log, "rb").read()
    learned = call("policy", "learn", log).expect(0).stdout.decode()
    assert "file write /w/n\n" in learned and "/w/**" not in learned, learned
    same = call("policy", "replay", log, p).expect(0).stdout
    assert same.startswith(b"0 of "), same
    wider = call("policy", "replay", log, shared("file write /w/**\n")).expect(1).stdout.decode()
    assert "file write /w/a: deny -> allow" in wider, wider

    lines = open(log, encoding="utf-8").readlines()
    write("cut", "".join(lines[:2] + lines[3:]))
    call("audit", "--verify", work("cut")).expect_error("line 3 is missing")
    write("changed", "".join(lines).replace('"deny"', '"allow"', 1))
    call("audit", "--verify", work("changed")).expect_error("was changed")


@limit(600)
def test_policy_of_a_running_sandbox():
    """show, why, set, the log as it grows; and a fork, which can't be given more than its parent has."""
    p = shared("file read /w/a\nfile write /w/b\n")
    with sandbox("box", "--policy", p):
        assert call("policy", "show", "box").expect(0).stdout == open(p, "rb").read()
        call("why", "box").expect_error("nothing was denied")
        assert execute("box", "sh", "-c", "cat /w/a; echo > /w/a").status != 0
        why = call("why", "box").expect(0).stdout.decode()
        assert f"rule: {p}:3: file read /w/a" in why and "    file write /w/a\n" in why, why
        assert f"above {p}:3" in why, why
        call("why", "box", "1").expect_error("no decision")

        follow = Process("audit", "box", "--follow", "--json")
        follow.wait_output(b'"verdict":"deny"')
        wider = policy(f"share {work('top')} /w\nfile write /w/**\n", "wider")
        narrower = policy(f"share {work('top')} /w\nfile hide /w/b\nfile read /w/a\n", "narrower")
        call("fork", "--policy", wider, "box", "1").expect_error("it allows more: file /w", f"{wider}:3")
        call("fork", "--policy", narrower, "box", "1").expect(0, b"box-1\n")
        try:
            execute("box-1", "sh", "-c", "cat /w/a; ls /w/b 2>/dev/null").expect(1, b"a\n")
            assert call("policy", "show", "box-1").expect(0).stdout == open(narrower, "rb").read()
        finally:
            call("kill", "box-1")

        call("policy", "set", "box", policy("share /tmp /x\nfile read /x/**\n", "other")) \
            .expect_error("a share can't be added")
        call("policy", "set", "box", policy("fil\n", "bad")).expect_error("did you mean 'file'")
        call("policy", "set", "box", wider).expect(0, b"", b"")
        follow.wait_output(b'"policy-set"')
        execute("box", "sh", "-c", "echo new > /w/a").expect(0)
        follow.wait_output(b'"op":"write","object":"/w/a","verdict":"allow"')
        assert b"are whole" in call("audit", "--verify", "box").expect(0).stdout
        call("stop", "box").expect(0)
        follow.wait().expect(0)
        assert b'"event":"close"' in follow.output["stdout"], follow.result()
