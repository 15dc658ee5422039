# SPDX-License-Identifier: Apache-2.0
"""cordon run --detach: a sandbox in the background that ends with its command."""
import signal
import time

import cordon
from cordon import Process, call, limit, scratch, wait_until
from sandboxes import execute, ps


def run(*command, options=()):
    return call("run", "-d", *options, "--", *command)


@limit(600)
def test_run_detached():
    """It prints its name, its output is kept, its end and status are those of its command."""
    script = "echo out; echo err >&2; read line || echo no input; while [ ! -e /tmp/go ]; do sleep 0.1; done; echo new; exit 7"
    result = run("sh", "-c", script, options=["--name", "back"]).expect(0, b"back\n", b"")
    assert result.status == 0
    assert ps()["back"]["jobs"][0]["detached"]
    waiting = Process("wait", "back")
    following = Process("logs", "-f", "back")
    wait_until(lambda: b"no input" in call("logs", "back").stdout, "its output")
    call("logs", "back").expect(0, b"out\nno input\n", b"err\n")
    time.sleep(3)                    # times are exact to a second
    since = time.strftime("%Y-%m-%dT%H:%M:%S.5Z", time.gmtime())
    call("logs", "--since", since, "back").expect(0, b"", b"")
    call("logs", "--since", "10h", "back").expect(0, b"out\nno input\n", b"err\n")
    newer = Process("logs", "-f", "--since", since, "back")
    execute("back", "touch", "/tmp/go").expect(0)
    waiting.wait().expect(7, b"", b"")
    following.wait().expect(0, b"out\nno input\nnew\n", b"err\n")
    newer.wait().expect(0, b"new\n", b"")
    wait_until(lambda: "back" not in ps(), "its end")
    call("wait", "back").expect(7, b"", b"")
    call("logs", "back").expect(0, b"out\nno input\nnew\n", b"err\n")
    call("logs", "--since", since, "back").expect(0, b"new\n", b"")
    call("logs", "--since", since, "--tail", "7", "back", "1").expect(0, b"new\n", b"")
    call("logs", "--since", "2000-01-01T00:00:00Z", "--tail", "1", "back").expect(0, b"new\n", b"err\n")
    for wrong in ("yesterday", "2000-01-01", "0", "2000-01-01T00:00:00+01:00"):
        call("logs", "--since", wrong, "back").expect_error("is neither a time such as 30s or 10m")
    call("logs", "--timestamps", "back").expect_error("--since TIME")
    call("rm", "back").expect(0)


@limit(600)
def test_run_detached_ends():
    """Without a name one is made up; stop is polite, kill is not; --timeout holds; a command that isn't there."""
    name = run("sleep", "1000").expect(0, stderr=b"").stdout.decode().strip()
    assert name.startswith("run-") and name in ps()
    call("stop", name).expect(0)
    call("wait", name).expect(128 + signal.SIGTERM)
    run("sleep", "1000", options=["--name", "hard"]).expect(0)
    call("kill", "hard").expect(0)
    call("wait", "hard").expect(128 + signal.SIGKILL)
    run("sleep", "1000", options=["--name", "late", "--timeout", "1s"]).expect(0)
    call("wait", "late").expect(124)
    run("/no/such", options=["--name", "none"]).expect(0)
    call("wait", "none").expect(127)
    # A run in the foreground has a status to wait for, too.
    cordon.run("sh", "-c", "exit 9", options=["--name", "fore"]).expect(9)
    call("wait", "fore").expect(9)


def test_run_detached_is_refused():
    """One line each."""
    run("true", options=["-t"]).expect_error("leave -t out")
    call("run", "-d").expect_error("which command?")
    run("true", options=["--console"]).expect_error("cordon logs")
    run("true", options=["--policy", scratch("policy", b"policy 2\n")]).expect_error("policy")
    run("true", options=["--name", "no/name"]).expect_error("name")
    assert ps() == {}
