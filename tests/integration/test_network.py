# SPDX-License-Identifier: Apache-2.0
"""The network under the policy, in a small Internet of its own (net_world.py): nothing leaves."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import cordon
from cordon import call, run

GOOD, OTHER, PRIVATE, METADATA = "93.184.216.34", "93.184.216.35", "10.9.9.9", "169.254.169.254"
RULES = """policy 1
net allow tls  tls.test:443 cdn.test:443
net allow http web.test:80
net allow tcp  good.test:8000 rebind.test:* mixed.test:80
net allow tcp  host:9000
net allow udp  93.184.216.34/32:123
"""


def world(command, rules=RULES, options=(), stdin=None, env=None, **task):
    """Runs a command in a sandbox in a world of its own; what came of it, with the audit log."""
    cordon.need_root()
    cordon.need_program("unshare", "ip", "passt")
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as folder:
        audit, policy = os.path.join(folder, "audit"), os.path.join(folder, "policy")
        with open(policy, "w", encoding="utf-8") as file:
            file.write(rules)
        task["argv"] = [cordon.PROGRAM, "run", "--policy", policy, "--audit", audit, *options,
                        "--", *command]
        if stdin:
            task["stdin"] = stdin
        done = subprocess.run(["unshare", "-n", "-m", sys.executable,
                               os.path.join(cordon.HERE, "net_world.py"), json.dumps(task)],
                              capture_output=True, text=True, check=False,
                              env={**os.environ, **(env or {})})
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        with open(audit, encoding="utf-8") as file:
            result["audit"] = [json.loads(line) for line in file]
    return result


def probe(*probes, **keywords):
    """Runs programs/net.c with probes: the world's result, and what each probe came to."""
    words = " ".join(f"'{word}'" for word in probes)
    result = world(["sh", "-c", f"cat >/tmp/net; chmod 755 /tmp/net; exec /tmp/net {words}"],
                   stdin=cordon.program("net"), **keywords)
    assert result["status"] == 0 and result["stderr"] == "", result
    answers = {}
    for word, line in zip(probes, result["stdout"].splitlines(), strict=True):
        assert line.startswith(word + ": "), result
        answers[word] = line[len(word) + 2:].removeprefix("connect: ").removeprefix("receive: ")
    return result, answers


def verdicts(result, operation):
    return [(line.get("name"), line["verdict"]) for line in result["audit"]
            if line.get("op") == operation]


@cordon.limit(600)
def test_rules_by_name():
    """Names, TLS names, HTTP hosts, the host's loopback: what a rule allows works, and only that."""
    result, got = probe("tcp:good.test:8000", "tls:tls.test:443:tls.test",
                        "split:tls.test:443:tls.test", "tls:tls.test:443:evil.test",
                        "tls:tls.test:443:-", "tls:cdn.test:443:tls.test",
                        "tcp:tls.test:443:SSH-2.0-x", "tcp:host:9000:hi", "tcp:host:9001:hi",
                        "name:nothing.test", "name:mixed.test", "name:rebind.test",
                        f"udp:{GOOD}:123:time", f"udp:{OTHER}:123:time")
    assert got["tcp:good.test:8000"] == "got 220 first", result
    for name in ("tls", "split"):
        assert got[f"{name}:tls.test:443:tls.test"] == f"got served by {GOOD}:443", result
    for refused in ("tls:tls.test:443:evil.test", "tls:tls.test:443:-",
                    "tls:cdn.test:443:tls.test", "tcp:tls.test:443:SSH-2.0-x"):
        assert got[refused] in ("Connection reset by peer",), (refused, result)
    assert got["tcp:host:9000:hi"] == "got served by 127.0.0.1:9000", result
    assert got["tcp:host:9001:hi"] == "Connection refused", result
    assert got["name:nothing.test"] == got["name:rebind.test"] == "no such name", result
    assert got["name:mixed.test"] == f"is {OTHER}", result
    assert got[f"udp:{GOOD}:123:time"] == "got heard time", result
    assert got[f"udp:{OTHER}:123:time"] == "Host is unreachable", result
    # At the listeners: of a refused connection no byte arrived.
    said = result["reached"]
    assert sum("tls.test" in data for data in said[f"{GOOD}:443"]) == 2, said
    assert not any(data for data in said[f"{OTHER}:443"]), said
    assert not any("evil" in data or "SSH" in data for data in said[f"{GOOD}:443"]), said
    assert "127.0.0.1:9001" not in said and f"{OTHER}:123" not in said, said
    assert "nothing.test" not in result["asked"], result["asked"]
    assert ("tls.test", "allow") in verdicts(result, "connect"), result["audit"]
    assert ("evil.test", "deny") in verdicts(result, "connect"), result["audit"]
    assert ("nothing.test", "deny") in verdicts(result, "resolve"), result["audit"]
    ends = [line for line in result["audit"] if line.get("event") == "flow-end"]
    assert any("good.test" in line["object"] and "in=9" in line["detail"] for line in ends), ends


@cordon.limit(900)
def test_nothing_else_is_reached():
    """Ports, addresses and spellings without a rule: more than 300 attempts, refused at once."""
    spelled = ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "10.9.2313", "0xa9fea9fe",
               "2852039166", "169.254.43518"]
    probes = [f"scan:{OTHER}:{1}-{300}", f"tcp:{GOOD}:443:x", f"tcp:{GOOD}:80:x",
              f"tcp:{OTHER}:443:x", f"tcp:{PRIVATE}:443:x", f"tcp:{METADATA}:80:x",
              f"udp:{OTHER}:53:x", *(f"tcp:{name}:80:x" for name in spelled),
              "tcp:192.0.2.1:80:x", "tcp:192.0.2.4:9001:x", "tcp:192.0.2.99:80:x",
              "tcp:192.0.2.4:9000:allowed"]
    result, got = probe(*probes)
    assert got[f"scan:{OTHER}:1-300"] == "open 0, refused 300, other 0", result
    for name in probes[1:-1]:
        assert got[name] in ("Connection refused", "Host is unreachable"), (name, result)
    assert got[probes[-1]] == "got served by 127.0.0.1:9000", result
    assert set(result["reached"]) == {"127.0.0.1:9000"}, result["reached"]


@cordon.limit(300)
def test_no_rule_no_network():
    """Without a rule there is no address, no route and nothing to send to."""
    with open(cordon.program("net"), "rb") as program:
        result = run("sh", "-c", "cat >/tmp/net; chmod 755 /tmp/net; cat /sys/class/net/eth0/operstate;"
                     f" exec /tmp/net tcp:{GOOD}:80", stdin=program.read())
    result.expect(0, b"down\n" + f"tcp:{GOOD}:80: connect: Network unreachable\n".encode(), b"")


@cordon.limit(300)
def test_passt_dies():
    """Without its backend a sandbox goes on, and its user is told in one line."""
    result = world(["sh", "-c", "echo begun; while ip route | grep -q default && "
                    "[ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.1; done; echo ended"],
                   **{"kill passt": True})
    assert result["status"] == 0 and result["stdout"] == "ended\n", result
    assert result["stderr"].startswith("cordon: warning: the sandbox has no network any more: passt has "
                                       "ended: it was ended by signal 9"), result
    assert result["stderr"].count("\n") == 1, result
    assert any(line.get("event") == "network-lost" for line in result["audit"]), result


@cordon.limit(300)
def test_passt_is_missing():
    folder = tempfile.mkdtemp(prefix="cordon-test.")
    try:
        policy = os.path.join(folder, "policy")
        with open(policy, "w", encoding="utf-8") as file:
            file.write(RULES)
        result = run("echo", "ok", options=["--policy", policy], env={"PATH": folder})
    finally:
        shutil.rmtree(folder)
    assert result.status == 0 and result.stdout == b"ok\n", repr(result)
    assert result.stderr == (b"cordon: warning: the sandbox has no network: passt is not installed: "
                             b"apt install passt\n"), repr(result)


def test_bad_options():
    call("run", "--net", "user", "--", "true").expect_error("allows no network")
    call("run", "--net", "tap=tap0", "--", "true").expect_error("not in this version")
    call("run", "--net", "lan", "--", "true").expect_error("none or user")
