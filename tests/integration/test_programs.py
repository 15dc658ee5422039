# SPDX-License-Identifier: Apache-2.0
"""Exec rules: what a workload may execute, by every way to a file; each denial has an allowed twin."""
import errno
import json
import os
import shutil

import cordon
from cordon import call, limit, run, wait_until, work
from sandboxes import ask, connect, execute, executing, sandbox
from test_policy import policy

RULES = "exec allow /w/execs\nexec allow /bin/busybox\nexec deny /tmp/denied/**\nexec allow /tmp/allowed/**\n"
# The calls that lead around exec rules, and that such rules close, are open where the rules themselves are tested.
OPEN = "process allow userns memfd-exec\n"

# How each way to a denied file ends; the twin of each runs.
DENIED = {
    **dict.fromkeys(("plain", "search", "relative", "symlink", "link", "descriptor", "execveat", "deleted", "memory",
                     "unnamed", "renamed", "script", "interpreter", "mapping", "mprotect", "anonymous", "covered",
                     "other_tmpfs", "unshared", "overlay", "detached", "rooted", "vfork", "spawn", "thread",
                     "process_memory"), errno.EACCES),
    **dict.fromkeys(("bind_here", "tmpfs_here", "shared_here", "unmount_here", "tree_here", "pivot_here"),
                    errno.EPERM),
    "running": errno.ETXTBSY, "long_script": errno.ENOEXEC, "circle": errno.ELOOP}


def shared(rules):
    """A policy with a share that has the program of the attempts."""
    os.makedirs(work("top"), exist_ok=True)
    if not os.path.exists(work("top/execs")):       # the guest may be executing it
        shutil.copy(cordon.program("execs"), work("top/execs"))
    return policy(f"share {work('top')} /w\nfile write /w/**\n{rules}")


def log(name="box"):
    return [json.loads(line) for line in call("audit", "--json", name).expect(0).stdout.splitlines()]


def runs(lines, verdict="deny"):
    return [line["object"] for line in lines if line.get("op") == "run" and line["verdict"] == verdict]


@limit(600)
def test_programs_ways():
    """No way to a denied file leads around its path; the same way to an allowed file works."""
    result = run("/w/execs", options=("--policy", shared(RULES + OPEN), "--audit", work("log"))).expect(0)
    wanted = "".join(f"{name} denied: {error}\n{name} allowed: ran\n" for name, error in DENIED.items())
    assert sorted(result.stdout.decode().splitlines()) == sorted(wanted.splitlines()), result
    lines = [json.loads(line) for line in call("audit", "--json", work("log")).expect(0).stdout.splitlines()]
    denied = runs(lines)
    assert denied.count("/tmp/denied/p") == 1, "the guest does not remember verdicts"
    for what in ("/tmp/denied/link", "/tmp/denied/tmp/allowed/p", "no path: /memfd:/tmp/allowed/p (deleted)"):
        assert what in denied, denied
    first = next(line for line in lines if line.get("object") == "/tmp/denied/p")
    assert first["where"] == "guest" and first["claimed_exe"] == "/w/execs" and first["claimed_uid"] == 0, first
    allowed = runs(lines, "allow")
    assert "/tmp/allowed/p" in allowed and "/bin/busybox" not in allowed, allowed


def test_programs_without_rules():
    """The twin of all the above: without exec rules the sandbox mounts as it likes and runs any file."""
    result = run("sh", "-c", "for i in plain memory tmpfs_here shared_here; do /w/execs $i; done",
                 options=("--policy", shared(""),)).expect(0)
    lines = result.stdout.decode().splitlines()
    assert lines == [f"{name} {what}: ran" for name in ("plain", "memory", "tmpfs_here") for what in ("denied", "allowed")
                     ] + ["shared_here denied: 0", "shared_here allowed: ran"], result
    rules = shared(RULES + "process allow ptrace\n")
    run("/w/execs", "process_memory", options=("--policy", rules)).expect(
        0, b"process_memory denied: ran\nprocess_memory allowed: ran\n")


@limit(400)
def test_programs_of_commands():
    """Commands are subject to the rules too, and say which one; a new policy counts at once, for running processes too."""
    with sandbox("box", "--policy", shared(RULES)):
        execute("box", "sh", "-c", "mkdir /tmp/denied; cp /bin/busybox /tmp/denied/true").expect(0)
        for _again in range(2):
            execute("box", "/tmp/denied/true").expect(
                126, b"", b"cordon: /tmp/denied/true: /tmp/denied/true is denied by the policy: "
                b"exec deny /tmp/denied/**\n")
        execute("box", "true", options=("-e", "PATH=/tmp/denied:/none")).expect(
            126, b"", b"cordon: true: /tmp/denied/true is denied by the policy: exec deny /tmp/denied/**\n")
        execute("box", "true", options=("-e", "PATH=/tmp/denied:/bin")).expect(0)
        execute("box", "/run/cordon/cordon-guest").expect(
            126, b"", b"cordon: /run/cordon/cordon-guest: /run/cordon/cordon-guest is denied by the policy: "
            b"no rule allows it\n")
        # What can't be executed for another reason does not blame the policy.
        execute("box", "/etc/passwd").expect(126, b"", b"cordon: /etc/passwd: permission denied in the sandbox\n")
        loop = executing("box", "sh", "-c", "while :; do /tmp/denied/true 2>/dev/null; echo $?; sleep 1; done")
        loop.wait_output(b"126\n")
        call("policy", "add", "box", "exec allow /tmp/denied/true").expect(0)
        loop.wait_output(b"0\n")
        execute("box", "/tmp/denied/true").expect(0)
        call("policy", "undo", "box").expect(0)
        before = loop.output["stdout"].count(b"126\n")
        wait_until(lambda: loop.output["stdout"].count(b"126\n") > before, "the rule is gone")
        call("policy", "set", "box", shared("exec allow /**\n")).expect(0)
        execute("box", "/tmp/denied/true").expect(0)
        # Without any rule everything may run, and the mounts stay as they are.
        call("policy", "set", "box", shared("")).expect(0)
        execute("box", "/w/execs", "memory").expect(0, b"memory denied: ran\nmemory allowed: ran\n")
        execute("box", "/w/execs", "tmpfs_here").expect(0, b"tmpfs_here denied: 1\ntmpfs_here allowed: ran\n")
        call("policy", "set", "box", shared(RULES)).expect(0)
        execute("box", "/tmp/denied/true").expect(126)
        loop.signal(15)
        loop.wait()
        denied = runs(log())
        assert denied.count("/tmp/denied/true") < 12, "each denial of the loop is logged"
        told = execute("box", "cat", "/run/cordon/denials").expect(0).stdout
        assert b'"class":"exec"' in told and b"/tmp/denied/true" in told, told


def test_programs_rules_come_first():
    """A sandbox that has run programs without exec rules takes none later."""
    with sandbox("box", "--policy", shared("")):
        execute("box", "true").expect(0)
        for verb in (("set", "box", shared(RULES)), ("add", "box", "exec deny /bin/sh")):
            call("policy", *verb).expect_error("started without exec rules")
        execute("box", "true").expect(0)


@limit(400)
def test_programs_ask():
    """'exec ask' stops the process until an operator decides, and nothing else; one that is killed asks no longer."""
    with sandbox("box", "--policy", shared("exec ask /w/execs\nexec allow /bin/busybox\n")):
        execute("box", "/w/execs", "target").expect(
            126, b"", b"cordon: /w/execs: /w/execs is denied by the policy: exec ask /w/execs "
            b"(no operator approved it)\n")
        client = connect("box")
        assert ask(client, op="questions", id=1, watch=True)["questions"] == []
        first = executing("box", "/w/execs", "target")
        event = json.loads(client.recv(1 << 18))
        assert event["event"] == "asked" and event["class"] == "exec", event
        execute("box", "true").expect(0)          # everything else goes on
        call("ask", "box", str(event["question"]), "once").expect(0)
        first.wait().expect(42)                   # and nothing is asked again when the file is mapped
        for answer, status in (("no", 126), ("session", 42)):
            third = executing("box", "/w/execs", "target")
            while (event := json.loads(client.recv(1 << 18)))["event"] != "asked":
                pass
            call("ask", "box", str(event["question"]), answer).expect(0)
            third.wait().expect(status)
        execute("box", "/w/execs", "target").expect(42)
        call("policy", "set", "box", shared("exec ask /w/*\nexec allow /bin/busybox\n")).expect(0)
        execute("box", "sh", "-c", "cp /w/execs /w/other").expect(0)
        execute("box", "sh", "-c", "/w/other target & sleep 5; kill $!; wait $!; echo $?").expect(0, b"143\n")
        while (event := json.loads(client.recv(1 << 18)))["event"] != "asked":
            pass
        number = event["question"]
        while (event := json.loads(client.recv(1 << 18)))["event"] != "over" or event["question"] != number:
            pass
        assert "nothing waits for it" in event["how"], event
        client.close()


@limit(400)
def test_programs_loaders():
    """A loader maps no denied program, and a program no denied library."""
    loader, libc, true = ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6", "/bin/true")
    if not all(os.path.exists(path) for path in (loader, libc, true)):
        raise cordon.Skip("needs glibc's loader")
    rules = shared("exec allow /w/good/**\nexec allow /bin/busybox\n")
    for place in ("good", "bad"):
        os.makedirs(work(f"top/{place}"))
        for path in (loader, libc, true):
            shutil.copy(path, work(f"top/{place}/{os.path.basename(path)}"))
    script = "\n".join(f"/w/good/{os.path.basename(loader)} --library-path /w/{libs} /w/{place}/true 2>&1; echo $?"
                       for libs, place in (("good", "good"), ("good", "bad"), ("bad", "good")))
    result = run("sh", "-c", script + "\n/w/bad/ld-linux-x86-64.so.2 /w/good/true; echo $?",
                 options=("--policy", rules)).expect(0)
    lines = result.stdout.decode().splitlines()
    assert lines[0] == "0" and lines.count("0") == 1 and lines[-1] == "126", result
    assert "/w/bad/true" in lines[1] and lines[2] != "0", result
    assert "libc.so.6" in lines[3] and lines[4] != "0", result


@limit(400)
def test_programs_on_shares_and_overlays():
    """The host replaces a file while it is in use; a file is copied up: what is opened at the path counts."""
    rules = shared("exec allow /w/execs\nexec allow /w/a\nexec allow /bin/busybox\nexec allow /tmp/allowed/**\n")
    shutil.copy(work("top/execs"), work("top/a"))
    shutil.copy(work("top/execs"), work("top/b"))
    with sandbox("box", "--policy", rules, "--disk", "64M"):
        script = "for i in a b; do /w/$i target 2>/dev/null; echo $?; done"
        execute("box", "sh", "-c", script).expect(0, b"42\n126\n")
        for name in ("a", "b"):
            with open(work("top/new"), "w", encoding="ascii") as new:
                new.write("#!/bin/busybox sh\nexit 7\n")
            os.chmod(work("top/new"), 0o755)
            os.rename(work("top/new"), work("top/" + name))
        execute("box", "sh", "-c", script).expect(0, b"7\n126\n")
        # The root is an overlay on a disk: programs made there, and changed, have the same path.
        execute("box", "/w/execs", "plain").expect(0, b"plain denied: 13\nplain allowed: ran\n")
        execute("box", "sh", "-c", "echo >>/tmp/allowed/p; echo >>/tmp/denied/p; for i in allowed denied; do "
                "/tmp/$i/p target 2>/dev/null; echo $?; done").expect(0, b"42\n126\n")


@limit(400)
def test_programs_mounts_stay():
    """No rename or removal takes a share from its path, where another file could then have it."""
    os.makedirs(work("top"), exist_ok=True)
    shutil.copy(cordon.program("execs"), work("top/execs"))
    rules = policy(f"share {work('top')} /srv/deep/w\nfile read /srv/deep/w/**\nexec allow /srv/deep/w/** /bin/busybox\n" + OPEN)
    away = "mv /srv/deep /srv/other; mv /srv/deep/w /srv/w; rmdir /srv/deep/w; mv -T /srv/empty /srv/deep/w"
    script = f"mkdir -p /srv/twin/x /srv/empty; {away}; unshare -m sh -c 'umount /srv/deep/w; {away}'"
    with sandbox("box", "--policy", rules):
        result = execute("box", "sh", "-c", script)
        assert result.stderr.count(b"busy") == 8, result
        execute("box", "sh", "-c", "ls -d /srv/*; mv /srv/twin /srv/moved && rmdir /srv/moved/x && mv -T /srv/empty /srv/moved"
                ).expect(0, b"/srv/deep\n/srv/empty\n/srv/twin\n")
        execute("box", "/srv/deep/w/execs", "target").expect(42)


@limit(600)
def test_programs_flood():
    """A storm of denied programs, known and new ones, leaves the sandbox usable and the log bounded."""
    with sandbox("box", "--policy", shared(RULES)):
        execute("box", "sh", "-c", "mkdir /tmp/denied; cp /w/execs /tmp/denied/p").expect(0)
        storm = executing("box", "sh", "-c", "for i in 1 2 3 4; do (while :; do /tmp/denied/p; done) & done; "
                          "(i=0; while :; do i=$((i+1)); ln /tmp/denied/p /tmp/denied/$i; /tmp/denied/$i; done) & wait",
                          options=())
        for _i in range(3):
            execute("box", "true").expect(0)
        call("policy", "set", "box", shared(RULES + "exec deny /none\n")).expect(0)
        execute("box", "true").expect(0)
        storm.signal(15)
        storm.wait()
        assert runs(log()).count("/tmp/denied/p") <= 4
        call("audit", "--verify", "box").expect(0)


@limit(400)
def test_programs_in_the_log():
    """'audit processes': the log has each program and each end, with its status, also of those that a command left behind."""
    rules = shared("audit processes\n")
    with sandbox("box", "--policy", rules):
        execute("box", "sh", "-c", "/w/execs target; /w/execs target one 'two three'; "
                "/bin/dd if=/dev/zero of=/dev/null bs=4M count=1; kill -9 $$").expect(137)
        lines = [line for line in log() if str(line.get("event", "")).startswith("process-")]
        starts = [line for line in lines if line["event"] == "process-start"]
        ends = {line["claimed_pid"]: line["detail"] for line in lines if line["event"] == "process-end"}
        assert [line["object"] for line in starts] == ["/bin/busybox", "/w/execs", "/w/execs", "/bin/busybox"], lines
        shell, first, second, large = (line["claimed_pid"] for line in starts)
        assert starts[0]["detail"].startswith("parent=0 argv=sh -c /w/execs target; "), starts
        assert [line["detail"] for line in starts[1:3]] == [
            f"parent={shell} argv=/w/execs target", f"parent={shell} argv=/w/execs target one two three"], starts
        assert "signal=9" in ends[shell] and "status=42" in ends[first] and "status=42" in ends[second], ends
        seen = {pid: dict(word.split("=") for word in detail.split()) for pid, detail in ends.items()}
        assert all(int(end["cpu_us"]) > 0 and int(end["peak_kib"]) > 0 for end in seen.values()), ends
        assert int(seen[first]["peak_kib"]) < 4096 < int(seen[large]["peak_kib"]) < 16384, ends
        assert int(seen[first]["cpu_us"]) < int(seen[large]["cpu_us"]), ends
        call("policy", "set", "box", shared("")).expect(0)
        execute("box", "true").expect(0)
        assert len([line for line in log() if line.get("event") == "process-start"]) == 4
