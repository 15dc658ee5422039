# SPDX-License-Identifier: Apache-2.0
"""Policies and the audit log through the verbs: read, refused, explained, replaced, inherited, verified."""
import json
import os
import subprocess

import cordon
from cordon import Process, call, limit, many, need_program, run, work, write
from sandboxes import execute, sandbox


def policy(text, name="p"):
    return write(name, "policy 1\n" + text)


def shared(rules):
    """A policy that shares a directory with a, b, and secret/key in it."""
    for name in ("a", "b", "secret/key"):
        write("top/" + name, name + "\n")
    return policy(f"share {work('top')} /w\n{rules}")


def rules(result):
    """What `policy check` has printed about rules; after them come the groups of system calls, which every policy has."""
    lines = result.expect(0).stdout.decode().splitlines()
    groups = [line for line in lines if line.startswith("process ")]
    assert len(groups) == 10 and lines[-10:] == groups, result
    return lines[:-10]


# --- without a sandbox -------------------------------------------------------------------------------

def test_policy_check_prints_and_warns():
    good = policy("limit cpus=2\nshare top /w\nfile hide /w/.env\nfile write /w/**\n")
    write("top/x", "")
    result = call("policy", "check", good).expect(0)
    text = result.stdout.decode()
    for line in (f"{good}:2: host: limit cpus", f"{good}:3: host: share {work('top')} /w",
                 f"{good}:4: host: file hide /w/.env", f"{good}:5: host: file write /w/**"):
        assert line in text, (line, result)
    assert b"the guest can change HEAD, .git/config, .git/hooks" in result.stderr, result
    assert b"CLAUDE.md" in result.stderr and b"can read .envrc, .ssh" in result.stderr, result
    call("policy", "check", "--require", "host", good).expect(0)
    odd = write("odd", "policy 1\nshare nothing /n uid=5 gid=7 owner=host cache=none\nshare top/x /x ro\nshare /proc /p ro\n"
                "share top /t cache=loose\nfile read /n/** /x/** /p/** /t/a\nfile write /t/**\n")
    result = call("policy", "check", odd).expect(0)
    assert f"{odd}:2: host: share {work('nothing')} /n uid=5 gid=7 owner=host cache=none\n" in result.stdout.decode(), result
    for line in (f"share /n: {work('nothing')}: No such file", f"share /x: {work('top/x')}: Not a directory",
                 "share /p: /proc: a pseudo file system can't be shared: no sandbox", "share /t: with cache=loose"):
        assert f"warning: {line}" in result.stderr.decode(), result
    for options, words in (("ro:ro", "'ro' is given twice"), ("ro:rw", "either ro or rw"), ("uid=x", "'x' is not a whole"),
                           ("owner=hots", "did you mean 'host'?"), ("cache=none:cache=loose", "'cache=' is given twice")):
        share = f"{work('top')}:/top:{options}"
        call("policy", "check", "--share", share, good).expect_error(f"--share: '{share}'", words)
    top = work("top")
    for guest, words in (("/w", "--share: another share is at /w already"), ("/a/../b", "--share: '/a/../b': give an absolute"),
                         ("/a" * 600, "longer than 1024 bytes")):
        call("policy", "check", "--share", f"{top}:{guest}", good).expect_error(words)
    assert "\n--share: host: file read /top/**\n" in call("policy", "check", "--share", f"{top}:/top:ro",
                                                          good).expect(0).stdout.decode()
    left = call("policy", "check", "workspace").expect(0).stderr
    assert b"Makefile" in left and b".git" not in left and b"CLAUDE.md" not in left, left
    call("policy", "check", "--require", "guest", good).expect_error("only host")
    call("policy", "check").expect_error("policy check", "FILE")
    call("policy", "chek", good).expect_error("did you mean 'check'")


def test_policy_bad_files_run_nothing():
    """An error in a policy is reported with its place by every verb that reads one, before anything is made."""
    for text, *words in (("fil read /w\n", ":2:1:", "did you mean 'file'"),
                         ("share . /w\nfile write /w/**\nfile read /w/a\n", ":4:1:", "never decides"),
                         ("secret KEY env\n", ":2:1:", "not enforced by this version"),
                         ("file read /w/**\n", ":2:1:", "the rule covers no share")):
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


def test_policy_of_several_files_and_names():
    """Several files make one policy, descriptors too; --allow-net is shown as a rule."""
    first = policy(f"limit memory=512M\nshare {work()} /w\nfile read /w/a\n")
    second = work("second")
    write("second", "policy 1\nlimit memory=256M\nfile write /w/**\n")
    # As arguments, from stdin and a shell's <( ), and as options: in the order given.
    bash = ["bash", "-c", 'exec "$0" policy check "$1" <(cat "$2")', cordon.PROGRAM, first, second]
    with open(second, "rb") as text:
        stdin = text.read()
    for result in (call("policy", "check", first, second), call("policy", "check", first, "-", stdin=stdin),
                   call("policy", "check", "--policy", first, "--policy", second),
                   call(*bash[1:], program="bash")):
        lines = [line.split(": ", 1)[1] for line in rules(result)]
        assert lines == ["host: limit memory", f"host: share {work()} /w", "host: file read /w/a",
                         "host: file write /w/**"], result
    call("policy", "check", second, first).expect_error(f"{first}:4:1", "never decides")
    call("policy", "check", first, first).expect_error("another share is at")
    call("policy", "check", "-", "-").expect_error("once")
    call("run", "--policy", "-", "--", "true", stdin=b"polcy 1\n").expect_error("stdin:1:1", "did you mean 'policy'")
    result = call("policy", "check", "--allow-net", "api.example.com:443", "--allow-net", "udp/[2001:db8::1]:53",
                  "locked").expect(0)
    assert rules(result) == ["--allow-net:1: host: net allow tls api.example.com:443",
                             "--allow-net:2: host: net allow udp [2001:db8::1]:53"], result
    write("denies", "policy 1\nnet deny tls *:443\nnet allow tcp *:80\n")
    for verb in (["policy", "check", "--allow-net", "x.example.com:443", work("denies")],
                 ["run", "--policy", work("denies"), "--allow-net", "x.example.com:443", "--", "true"],
                 ["start", "--policy", work("denies"), "--allow-net", "x.example.com:443", "box"]):
        call(*verb).expect_error("--allow-net:1:1", "stays denied by", "denies:2")
    call("run", "--allow-net", "example.com", "--", "true").expect_error("--allow-net:1:1", "example.com")
    call("run", "--allow-net", "quic/example.com:443", "--", "true").expect_error("quic", "one of")


def test_policy_explain_and_presets():
    p = policy("share . /w\nfile read /w/r*\nfile write /w/**\n")
    lines = call("policy", "explain", p, "file", "/w/rx").expect(0).stdout.decode().splitlines()
    verdicts = {line.split()[0]: line.split()[1] for line in lines}
    assert verdicts["read"] == "allow" and verdicts["write"] == "deny", lines
    assert all(f"{p}:3: file read /w/r*" in line for line in lines), lines
    call("policy", "explain", p, "fil", "/w").expect_error("no class")
    names = call("policy", "presets").expect(0).stdout.split()
    assert names == [b"locked", b"workspace", b"agent", b"open"], names
    for name in names:
        assert b"policy 1\n" in call("policy", "presets", name.decode()).expect(0).stdout
    call("policy", "presets", "x").expect_error("no preset")


def test_policy_warns_of_rules_for_links():
    """With --rootfs a start warns of a rule that denies a program by a directory that is a link in most trees."""
    for rules, warned in (("exec deny /bin/curl\nexec allow /usr/**\n", True),
                          ("exec deny /usr/bin/curl\nexec allow /usr/**\n", False)):
        p = write("p", f"policy 1\nlimit cpus=1\n{rules}")
        for options in (["--rootfs", "host"], []):
            result = call("run", "--policy", p, "--cpus", "2", *options, "--", "true")
            result.expect_error("--cpus", lines=2 if warned and options else 1)
            told = b":3: /bin/curl: where /bin is a link to /usr/bin" in result.stderr
            assert told == bool(warned and options), result


def test_policy_manual_has_the_table_of_protected_places():
    table = subprocess.run([os.path.join(cordon.TOP, "scripts", "presets.py"),
                            os.path.join(cordon.TOP, "vmm", "policy", "protected.inc")],
                           check=True, stdout=subprocess.PIPE).stdout.decode()
    with open(os.path.join(cordon.TOP, "docs", "policy.md"), encoding="utf-8") as file:
        assert table in file.read(), "docs/policy.md: replace the table by what scripts/presets.py prints"


def test_policy_limits_bound_options():
    p = policy("limit memory=128M cpus=2\n")
    call("run", "--policy", p, "-m", "256M", "--", "true").expect_error("--memory", f"{p}:2")
    call("run", "--policy", p, "-c", "3", "--", "true").expect_error("--cpus", f"{p}:2")
    call("start", "--policy", policy("limit wall=1m\n", "q"), "--wall", "2m", "box").expect_error("--wall")
    call("run", "--policy", shared("file write /w/**\n"), "--audit", work("top/log"), "--", "true") \
        .expect_error("the audit log", "where the guest could change it")


def test_policy_of_programs_without_a_sandbox():
    """What explain, learn, replay and check say of the class exec; a program without a path is no rule's."""
    entries = (("/usr/bin/git", "allow"), ("/w/two words", "deny"), ("no path: /memfd:x (deleted)", "deny"),
               ("/w/a\nb", "deny"))
    log = write("log", "".join(json.dumps({
        "seq": number, "time": "2026-01-01T00:00:00.000000Z", "class": "exec", "op": "run", "object": name,
        "verdict": verdict, "rule": "p:2", "where": "guest", "reason": "x", "hash": "0" * 64},
        separators=(",", ":")) + "\n" for number, (name, verdict) in enumerate(entries, 1)))
    learned = call("policy", "learn", log).expect(0).stdout.decode().splitlines()
    assert learned[2:] == [
        "exec allow /usr/bin/git", "exec allow /w/two\\ words",
        "# left out: 1 objects with control characters or other bytes that no policy can have in it",
        "# left out: programs without a path in the sandbox, which no rule can allow: 1"], learned
    p = policy("exec deny /w/n*\nexec ask /opt/**\nexec allow /w/*\n")
    replayed = call("policy", "replay", log, p).expect(1).stdout.decode()
    assert "1 exec run /usr/bin/git: allow -> deny" in replayed and "2 exec run /w/two words: deny -> allow" in replayed, replayed
    assert "memfd" not in replayed and "3 of 4 decisions" in replayed, replayed
    for path, verdict in (("/w/x", "allow"), ("/w/n", "deny"), ("/opt/x/y", "ask"), ("/x", "deny")):
        assert call("policy", "explain", p, "exec", path).expect(0).stdout.split()[1] == verdict.encode(), path
    assert f"{p}:2: guest: exec deny" in call("policy", "check", p).expect(0).stdout.decode()
    call("policy", "check", "--require", "host", p).expect_error("only the guest's kernel", "exec deny")
    call("policy", "check", "--require", "host", policy("")).expect(0)
    logged = policy("audit processes\n")
    assert f"{logged}:2: guest: audit processes\n" in call("policy", "check", logged).expect(0).stdout.decode()
    call("policy", "check", "--require", "host", logged).expect_error(f"{logged}:2: only the guest", "audit processes")


# --- with a sandbox ----------------------------------------------------------------------------------

@limit(600)
def test_policy_run_logs_learns_and_replays():
    """One command under rules: what it may do, what is logged, and what learn and replay make of the log."""
    p = shared("file hide /w/secret\nfile read /w/a\nfile write /w/**\n")
    log = work("log")
    script = ("cat /w/a; echo x > /w/a; cat /w/secret/key; ls /w; echo y > /w/n; "
              "mv /w/a /w/c; ln /w/a /w/l; rm /w/b")
    result = run("sh", "-c", script, options=["--policy", p, "--audit", log])
    assert result.stdout == b"a\na\nb\n" and result.status == 0, result
    assert sorted(os.listdir(work("top"))) == ["a", "n", "secret"], os.listdir(work("top"))
    entries = cordon.audit_log(log)
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[1]["event"] == "open" and entries[-1]["event"] == "close"
    seen = {(entry.get("op"), entry.get("object"), entry.get("verdict")): entry for entry in entries}
    assert seen["write", "/w/a", "deny"]["rule"] == f"{p}:4", seen.keys()
    assert seen["create", "/w/n", "allow"]["rule"] == f"{p}:5", seen.keys()
    assert seen["rename", "/w/a", "deny"]["other"] == "/w/c", seen.keys()
    assert ("remove", "/w/b", "allow") in seen, seen.keys()
    # Hidden objects are in the log, too: looked up, and left out of a listing.
    assert {entry["object"] for entry in entries if entry.get("verdict") == "hide"} == {"/w/secret"}, entries
    with open(log, encoding="utf-8") as file:
        allowed = file.read()
    assert '"allow"' in allowed and '"deny"' not in allowed and '"hide"' not in allowed, allowed

    assert b"are whole" in call("audit", "--verify", log).expect(0, None, b"").stdout
    denied = call("audit", log, "--verdict", "deny").expect(0).stdout.splitlines()
    assert denied and all(b" deny " in line for line in denied), denied
    printed = call("audit", log, "--json").expect(0).stdout.decode().splitlines()
    assert [json.loads(line) for line in printed] == entries, printed
    learned = call("policy", "learn", log).expect(0).stdout.decode()
    assert "file write /w/n\n" in learned and "/w/**" not in learned, learned
    assert "/w/secret\n" not in learned, learned
    same = call("policy", "replay", log, p).expect(0).stdout
    assert same.startswith(b"0 of "), same
    wider = call("policy", "replay", log, shared("file write /w/**\n")).expect(1).stdout.decode()
    assert "file write /w/a: deny -> allow" in wider, wider

    with open(log, encoding="utf-8") as file:
        lines = file.readlines()
    with open(log + ".denials", encoding="utf-8") as file:
        denials = file.read()
    write("cut", "".join(lines[:1] + lines[2:]))
    write("cut.denials", denials)
    call("audit", "--verify", work("cut")).expect_error(f"line {json.loads(lines[1])['seq']} is missing")
    write("changed", "".join(lines))
    write("changed.denials", denials.replace('"deny"', '"allow"', 1))
    call("audit", "--verify", work("changed")).expect_error("was changed")
    write("alone", "".join(lines))
    call("audit", "--verify", work("alone")).expect_error("missing")


@limit(600)
def test_policy_of_a_running_sandbox():
    """show, why, set, the log as it grows; and a fork, whose policy cannot allow more than its parent's."""
    p = shared("file read /w/a\nfile write /w/b\n")
    with sandbox("box", "--policy", p):
        assert call("policy", "show", "box").expect(0).stdout == open(p, "rb").read()
        call("why", "box").expect_error("nothing was denied")
        assert execute("box", "sh", "-c", "cat /w/a; echo > /w/a").status != 0
        why = call("why", "box").expect(0).stdout.decode()
        assert f"rule: {p}:3: file read /w/a" in why and "    file write /w/a\n" in why, why
        assert f"above {p}:3" in why, why
        call("why", "box", "1").expect_error("line 1 is not a decision")

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


@limit(600)
def test_policy_limit_of_processes():
    """limit processes: the guest's kernel enforces it, as check says; policy set changes it."""
    few, more = policy("limit processes=6\n", "few"), policy("limit processes=40\n", "more")
    assert f"{few}:2: guest: limit processes" in call("policy", "check", few).expect(0).stdout.decode()
    call("policy", "check", "--require", "host", few).expect_error("--require host", "limit processes")
    # The script kills what it started in any case: to look for processes to kill would take one more process.
    script = "trap 'kill -9 -$$' EXIT; for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done; echo all"
    with sandbox("box", "--policy", few):
        refused = execute("box", "sh", "-c", script)
        assert b"can't fork" in refused.stderr and refused.stdout == b"", refused
        execute("box", "sh", "-c", "echo one; true | cat").expect(0, b"one\n")
        call("policy", "set", "box", more).expect(0)
        allowed = execute("box", "sh", "-c", script)
        assert allowed.stdout == b"all\n" and b"fork" not in allowed.stderr, allowed
        call("policy", "set", "box", few).expect(0)
        assert b"can't fork" in execute("box", "sh", "-c", script).stderr


# --- a project -----------------------------------------------------------------------------------------

TEST = """import unittest
from calc import add

class Test(unittest.TestCase):
    def test_add(self):
        self.assertEqual(add(2, 3), 5)
"""

# What git and a test run do, with busybox alone: the real programs load half of the host's first, which
# takes a quarter of an hour where ring 0 is emulated.
SHORT_WORK = """set -e
sed -i 's/a - b/a + b/' calc.py
grep -q 'a + b' calc.py && echo OK
mkdir .git/objects/ab && echo blob >.git/objects/ab/cd
echo index >.git/index.lock && mv .git/index.lock .git/index
echo ref >.git/refs/heads/new.lock && mv .git/refs/heads/new.lock .git/refs/heads/new
"""
WHOLE_WORK = """set -e
sed -i 's/a - b/a + b/' calc.py
python3 -B -m unittest -q 2>&1 | tail -n 1
export GIT_AUTHOR_NAME=Sandbox GIT_AUTHOR_EMAIL=s@example.com GIT_COMMITTER_NAME=Sandbox GIT_COMMITTER_EMAIL=s@example.com
git commit -q -a -m mended
git branch other && git checkout -q other && git checkout -q - && git tag first
echo '# later' >>calc.py && git stash -q && git stash pop -q && git checkout -q calc.py
git gc -q
"""
# Each attempt, and the text that it must print.
ATTEMPTS = (("cat .env", "No such file"), ("ls -a | grep -c '^.env$'", "0"), ("echo x >.env", "ermission denied"),
            ("echo x >>.git/hooks/pre-commit", "ermission denied"),
            ("rm -f .git/hooks/pre-commit", "ermission denied"),
            ("echo x >>.git/config", "ermission denied"), ("mkdir -p .github/workflows", "ermission denied"),
            ("ln calc.py .git/hooks/post-commit", "ermission denied"),
            ("ln -s .git/hooks h; echo x >h/pre-commit", "ermission denied"),
            ("cd .git/hooks; echo x >/proc/self/cwd/pre-commit; cd ../..", "ermission denied"),
            ("mkdir /tmp/m; mount --bind .git/hooks /tmp/m; echo x >/tmp/m/pre-commit", "ermission denied"))


def project():
    """A repository with a bug in it, a hook, and secrets that are not committed."""
    top = work("project")
    for name, text in (("calc.py", "def add(a, b):\n    return a - b\n"), ("test_calc.py", TEST),
                       (".gitignore", ".env\n"), (".env", "TOKEN=secret\n")):
        write("project/" + name, text)
    git = ("git", "-C", top, "-c", "user.name=Host", "-c", "user.email=h@example.com")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "begin")):
        subprocess.run([*git, *command], check=True)
    write("project/.git/hooks/pre-commit", "#!/bin/sh\nexit 0\n")
    return top


def contents(top):
    found = {}
    for path, directories, files in os.walk(top):
        for name in directories:
            found[os.path.join(path, name)] = None
        for name in files:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.join(path, name)] = file.read()
    return found


@limit(3000)
def test_policy_of_a_project():
    """A project edited, tested and committed to; hooks and secrets stay out of reach; log and `why` tell all of it."""
    need_program("git")
    top = project()
    whole = cordon.HARDWARE or many(False, True)
    before = contents(top)
    call("start", "--policy", "workspace", *(("--rootfs", "host", "-m", "512M") if whole else ()), "box", cwd=top) \
        .expect(0, b"")
    try:
        done = execute("box", "sh", "-c", WHOLE_WORK if whole else SHORT_WORK, options=("-w", top)).expect(0)
        assert b"OK" in done.stdout, done
        script = "".join(f"echo '== {number}'; {attempt}; " for number, (attempt, _said) in enumerate(ATTEMPTS))
        tried = execute("box", "sh", "-c", f"exec 2>&1; {script}", options=("-w", top)).stdout.decode()
        answers = [part.split("\n", 1)[1] for part in tried.split("== ")[1:]]
        wrong = [(each, answer) for each, answer in zip(ATTEMPTS, answers) if each[1] not in answer]
        assert len(answers) == len(ATTEMPTS) and not wrong, wrong or tried

        after = contents(top)
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        assert os.path.join(top, "calc.py") in changed and not [path for path in changed if "hooks" in path], changed
        assert after[os.path.join(top, ".env")] == b"TOKEN=secret\n"
        if whole:
            log = subprocess.run(["git", "-C", top, "log", "--format=%an %s"], check=True, stdout=subprocess.PIPE)
            assert log.stdout == b"Sandbox mended\nHost begin\n", log.stdout

        entries = [json.loads(line) for line in call("audit", "--json", "box").expect(0).stdout.splitlines()]
        touched = {entry[key] for entry in entries for key in ("object", "other")
                   if entry.get("verdict") == "allow" and entry.get("op") != "read" and key in entry}
        untold = {path for path in changed if path not in touched}
        assert not untold, f"changed, and not in the log: {untold}"
        assert b"are whole" in call("audit", "--verify", "box").expect(0).stdout
        refused = [entry for entry in entries
                   if entry.get("verdict") in ("deny", "hide") and entry["object"].startswith(top)]
        assert {os.path.join(top, name) for name in (".env", ".git/hooks/pre-commit", ".git/config")} <= \
            {entry["object"] for entry in refused}, refused
        for entry in refused:
            why = call("why", "box", str(entry["seq"])).expect(0).stdout.decode()
            assert entry["object"] in why and "rule:" in why and "workspace" in why, why
    finally:
        call("kill", "box")
