# SPDX-License-Identifier: Apache-2.0
"""What outlives a sandbox: its record, after every kind of end; and runs, which other commands can reach."""
import json
import os
import re
import signal

import cordon
from cordon import FAILED, call, scratch, wait_until
from sandboxes import connect


def registry(name=""):
    return os.path.join(os.environ["XDG_RUNTIME_DIR"], "cordon", name)


def state(name="", file=""):
    return os.path.join(os.environ["XDG_STATE_HOME"], "cordon", name, file)


def ps(*options):
    return {item["name"]: item for item in json.loads(call("ps", "--json", *options).expect(0).stdout)}


def guarded_policy(more=""):
    """A policy with a share in which one file can't be written."""
    work = os.path.join(os.environ["CORDON_TEST_BASE"], "work", "share")
    os.makedirs(work, exist_ok=True)
    text = f"policy 1\nshare {work} /w\nfile read /w/fixed\nfile write /w/**\n{more}"
    return scratch("policy", text.encode())


def ended(name, reason, status=0, failed=False):
    """Every verb that reports ended sandboxes reports this one, and looking removes nothing."""
    for _again in range(2):
        assert name not in ps()
        info = ps("-a")[name]
        assert info["state"] == "ended" and reason in info["reason"], info
        assert info.get("status") == status, info
        line = re.search(rb"^%s +ended .*" % re.escape(name.encode()), call("ps", "-a").stdout, re.M)
        assert line and reason.encode() in line[0], line
        waited = call("wait", name)
        assert waited.status == (FAILED if failed else status), repr(waited)
        assert not failed or reason.encode() in waited.stderr, repr(waited)
        assert b" open" in call("audit", name).expect(0, stderr=b"").stdout
        call("logs", name).expect(0)
        if "~" not in name:
            call("exec", name, "--", "true").expect_error(f"{name} is not running: see 'cordon ps -a'")
    return info


def stop(pid):
    call("stop", "box").expect(0, b"", b"")


def crash(pid):
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cordon.alive(pid), "its end")


def switch_off(pid):
    call("exec", "box", "--", "poweroff", "-f")
    wait_until(lambda: "box" not in ps(), "its end")


@cordon.limit(600)
def test_records_outlive_every_end():
    policy = guarded_policy()
    for number, (end, reason, status, failed) in enumerate((
            (stop, "stopped by uid", 0, False),
            (crash, "killed or crashed", None, True),
            (switch_off, "switched itself off", 1, True))):
        call("start", "--policy", policy, "box").expect(0, b"", b"")
        pid = ps("-a")["box"]["pid"]
        assert number == 0 or ps("-a")[f"box~{number}"]["state"] == "ended"
        call("rm", "box").expect_error("box", "runs")
        call("exec", "box", "--", "sh", "-c", "echo x > /w/fixed")
        call("exec", "-d", "box", "--", "sh", "-c", "echo detached").expect(0)
        wait_until(lambda: ps()["box"]["ended"], "the detached command's end")
        end(pid)
        ended("box", reason, status, failed)
        why = call("why", "box").expect(0, stderr=b"").stdout
        assert b"file read /w/fixed" in why and b"deny" in why, why
        assert b"file write /w/**" in call("policy", "show", "box").expect(0).stdout
        assert call("logs", "box", "2").expect(0).stdout == b"detached\n"
    # Older records are found by number, and by the path of the log; a sandbox cannot have such a name.
    ended("box~1", "stopped by uid")
    for name in ("box~1", state("box~1", "audit.log")):
        assert b"/w/fixed" in call("why", name).expect(0, stderr=b"").stdout
        call("audit", "--verify", name).expect(0)
    call("start", "box~1").expect_error("name")
    for end in ("", ".denials"):
        with open(state("box~1", "audit.log" + end), "rb") as log:
            copy = scratch("audit.log" + end, log.read())
    copy = copy.removesuffix(".denials")
    assert b"not beside the log" in call("why", copy).expect(0).stdout
    # Records stay until they are removed; removing one leaves the others.
    call("rm", "box~1", "never-there").expect_error("never-there")
    call("why", "box~1").expect_error("no sandbox", "box~1")
    assert sorted(ps("-a")) == ["box", "box~2"]
    call("prune").expect(0, b"2 records removed\n", b"")
    assert ps("-a") == {} and os.listdir(state()) == []


@cordon.limit(400)
def test_records_of_runs():
    """A run is registered like a sandbox that stays, and its log is kept."""
    policy = guarded_policy()
    process = cordon.start("sh", "-c", "echo x > /w/fixed; echo ready; sleep 1000",
                           options=["--policy", policy])
    process.wait_output(b"ready\n")
    (name, info), = ps().items()
    assert name.startswith("run-") and info["pid"] == process.pid, info
    call("exec", name, "--", "sh", "-c", "echo in; exit 5").expect(5, b"in\n", b"")
    assert b"/w/fixed" in call("why", "--last").expect(0).stdout
    assert b"file write /w/fixed" in call("policy", "learn", "--last").expect(0, stderr=b"").stdout
    call("policy", "set", name, scratch("other", open(policy, "rb").read() + b"# other\n")).expect(0)
    assert b"# other" in call("policy", "show", name).expect(0).stdout
    call("stop", name).expect(0, b"", b"")
    assert process.wait().status == 128 + signal.SIGTERM
    assert ps() == {} and os.listdir(registry()) == []
    assert ended(name, "stopped by uid", 128 + signal.SIGTERM)["kind"] == "run"
    assert b"policy-set" in call("audit", "--last").expect(0).stdout
    # kill ends a run at once; a name that the user gave is taken while it runs.
    process = cordon.start("sh", "-c", "echo ready; sleep 1000", options=["--name", "mine"])
    process.wait_output(b"ready\n")
    cordon.run("true", options=["--name", "mine"]).expect_error("mine", "is running already")
    call("kill", "mine").expect(0, b"", b"")
    assert process.wait().status == 128 + signal.SIGKILL
    assert os.listdir(registry()) == []
    assert "killed by uid" in ps("-a")["mine"]["reason"]
    # --last is the latest run, and shows that run's log only.
    cordon.run("sh", "-c", "exit 7").expect(7, b"", b"")
    call("why", "--last").expect_error("nothing was denied")
    assert sorted(item.get("status") for item in ps("-a").values()) == [7, 137, 143]
    # A killed run leaves a record; the next command that looks frees its name.
    process = cordon.start("sh", "-c", "echo ready; sleep 1000", options=["--name", "mine"])
    process.wait_output(b"ready\n")
    process.signal(signal.SIGKILL)
    process.wait()
    ended("mine", "killed or crashed", None, failed=True)
    assert sorted(name for name in ps("-a") if "mine" in name) == ["mine", "mine~1"]


def test_a_run_that_is_killed():
    """Requests that come after `kill` are refused; the client that waits, and the record, have how it ended."""
    process = cordon.start("sh", "-c", "echo ready; sleep 1000", options=["--name", "mine"])
    process.wait_output(b"ready\n")
    clients = [connect("mine") for _i in range(3)]
    process.signal(signal.SIGSTOP)          # all requests are there when it looks, in this order
    for client, request in zip(clients, ({"op": "stop", "kill": True}, {"op": "info"},
                                         {"op": "exec", "argv": ["true"], "detach": True})):
        client.send(json.dumps({"id": 1, **request}).encode())
    process.signal(signal.SIGCONT)
    ending, info, refused = (json.loads(client.recv(1 << 17)) for client in clients)
    assert info["ok"] and info["state"] == "stopping", info
    assert not refused["ok"] and refused["error"] == "the sandbox is being stopped", refused
    assert ending == {"id": 1, "ok": True, "end": "killed", "status": 128 + signal.SIGKILL}, ending
    assert process.wait().status == 128 + signal.SIGKILL
    for client in clients:
        client.close()
    with open(state("mine", "record.json"), encoding="utf-8") as file:
        record = json.load(file)
    assert record["end"] == "killed" and record["status"] == 128 + signal.SIGKILL, record
    assert record["message"] == f"killed by uid {os.geteuid()}, process {os.getpid()}", record
    assert os.listdir(registry()) == []


def test_records_without_a_place():
    """Where no record can be kept, a sandbox starts all the same, unless its policy requires a log."""
    env = {"XDG_STATE_HOME": "/proc/nowhere"}
    required = guarded_policy("on-deny continue audit=required\n")
    for verb in (["run", "--policy", required, "--", "true"], ["start", "--policy", required, "box"]):
        call(*verb, env=env).expect_error("no record", "/proc/nowhere", "audit=required")
    assert os.listdir(registry()) == []
    result = cordon.run("echo", "hello", env=env)
    assert result.status == 0 and result.stdout == b"hello\n", repr(result)
    assert result.stderr.count(b"\n") == 1 and b"no record" in result.stderr, repr(result)
    # The log is elsewhere, so the policy's demand is met.
    log = os.path.join(os.environ["CORDON_TEST_BASE"], "work", "log")
    result = cordon.run("true", options=["--policy", required, "--audit", log], env=env)
    assert result.status == 0 and b"no record" in result.stderr, repr(result)
    call("audit", "--verify", log).expect(0)


def test_a_run_without_a_socket():
    """A run that can't have a control socket goes on without one, unless the user gave it a name."""
    place = os.path.join(os.environ["CORDON_TEST_BASE"], "work", "r" * 100)
    os.mkdir(place, 0o700)
    env = {"XDG_RUNTIME_DIR": place}
    result = cordon.run("echo", "hello", env=env)
    assert result.status == 0 and result.stdout == b"hello\n", repr(result)
    assert result.stderr.count(b"\n") == 1 and b"cannot reach this run" in result.stderr, repr(result)
    cordon.run("true", options=["--name", "box"], env=env).expect_error("too long for a socket")
    assert os.listdir(os.path.join(place, "cordon")) == []


def test_records_on_a_full_disk():
    """The end is recorded on a disk without room for another file: over the record itself."""
    cordon.need_root()
    place = os.path.join(os.environ["CORDON_TEST_BASE"], "work", "full")
    os.mkdir(place)
    script = f'''mount -t tmpfs -o size=16k,mode=700 tmpfs {place} && mkdir {place}/cordon
        "$@"; status=$?; df --output=avail {place} | tail -1 >&2; cat {place}/cordon/*/record.json; exit $status'''
    wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]
    result = cordon.run("sh", "-c", "read line; exit 7", wrap=wrap, env={"XDG_STATE_HOME": place},
                        stdin=b"x\n")
    assert result.status == 7, repr(result)
    record = json.loads(result.stdout)
    assert record["end"] == "exited" and record["status"] == 7, record


def test_records_and_shares():
    """A share that reaches the records or the directories of running sandboxes is refused; nothing starts."""
    top = os.environ["CORDON_TEST_BASE"]
    link = os.path.join(top, "work", "link")
    os.symlink(os.environ["XDG_STATE_HOME"], link)
    inside = os.path.join(os.environ["XDG_STATE_HOME"], "cordon", "box")
    os.makedirs(inside, mode=0o700)
    for place in (top, os.environ["XDG_STATE_HOME"], inside):
        cordon.run("true", options=["--share", f"{place}:/w"]).expect_error("records")
    cordon.run("true", options=["--share", f"{link}:/w"]).expect_error("records")
    cordon.run("true", options=["--share", f"{os.path.join(top, 'work')}:/w"],
               env={"XDG_STATE_HOME": link}).expect_error("records")
    cordon.run("true", options=["--share", f"{os.environ['XDG_RUNTIME_DIR']}:/w"]).expect_error("running")
    os.rmdir(inside)
