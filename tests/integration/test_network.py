# SPDX-License-Identifier: Apache-2.0
"""The network under a policy, in a small Internet of its own (net_world.py): no packet leaves."""
import json
import os
import re
import shutil
import socket
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


def in_world(argv, env=None, **task):
    """Run a command of the host in its own small Internet; return the result."""
    cordon.need_root()
    cordon.need_program("unshare", "ip")
    done = subprocess.run(["unshare", "-n", "-m", sys.executable,
                           os.path.join(cordon.HERE, "net_world.py"),
                           json.dumps({"argv": argv, **task})],
                          capture_output=True, text=True, check=False,
                          env={**os.environ, **(env or {})})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def world(command, rules=RULES, options=(), stdin=None, env=None, **task):
    """Run a command in a sandbox in its own small Internet; return the result, with the audit log."""
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as directory:
        audit, policy = os.path.join(directory, "audit"), os.path.join(directory, "policy")
        with open(policy, "w", encoding="utf-8") as file:
            file.write(rules)
        task["argv"] = [cordon.PROGRAM, "run", "--policy", policy, "--audit", audit, *options,
                        "--", *command]
        if stdin:
            task["stdin"] = stdin
        result = in_world(task.pop("argv"), env, **task)
        result["audit"] = cordon.audit_log(audit)
    return result


def probe(*probes, **keywords):
    """Run programs/net.c with probes; return the result and what each probe printed."""
    words = " ".join(f"'{word}'" for word in probes)
    result = world(["sh", "-c", f"cat >/tmp/net; chmod 755 /tmp/net; exec /tmp/net {words}"],
                   stdin=cordon.program("net"), **keywords)
    assert result["status"] == 0 and result["stderr"] == "", result
    answers = {}
    for word, line in zip(probes, result["stdout"].splitlines(), strict=True):
        assert line.startswith(word + ": "), result
        answers[word] = line[len(word) + 2:].removeprefix("connect: ").removeprefix("receive: ")
    return result, answers


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def verdicts(result, operation):
    return [(line.get("name"), line["verdict"]) for line in result["audit"]
            if line.get("op") == operation]


@cordon.limit(600)
def test_rules_by_name():
    """Rules for names, TLS names, HTTP hosts and the host's loopback: what a rule allows works, and only that."""
    result, got = probe("tcp:good.test:8000", "tls:tls.test:443:tls.test",
                        "split:tls.test:443:tls.test", "again:tls.test:443:tls.test",
                        "tls:tls.test:443:evil.test",
                        "tls:tls.test:443:-", "tls:cdn.test:443:tls.test",
                        "tcp:tls.test:443:SSH-2.0-x", "tcp:host:9000:hi", "tcp:host:9001:hi",
                        "name:nothing.test", "name:mixed.test", "name:rebind.test",
                        f"udp:{GOOD}:123:time", f"udp:{OTHER}:123:time",
                        "http:web.test:80:web.test", "http:web.test:80:evil.test",
                        "proxy:web.test:80:web.test", "tcp:web.test:80:SSH-2.0-x",
                        f"tcp:{GOOD}:8009:x", rules=RULES + f"net allow tcp {GOOD}/32:8009\n")
    # Permitted, but without a listener: the peer refuses, and the guest sees that.
    assert got[f"tcp:{GOOD}:8009:x"] == "Connection refused", result
    ends = [line for line in result["audit"] if line.get("event") == "flow-end"]
    assert sum(":8009 " in line["object"] + " " for line in ends) == 1, ends
    assert got["http:web.test:80:web.test"] == f"got served by {GOOD}:80", result
    assert got["tcp:good.test:8000"] == "got 220 first", result
    for name in ("tls", "split"):
        assert got[f"{name}:tls.test:443:tls.test"] == f"got served by {GOOD}:443", result
    # Three times from one port: a connection that has ended at both ends makes way for a new one.
    assert got["again:tls.test:443:tls.test"] == " ".join(3 * [f"served by {GOOD}:443"]), result
    for refused in ("tls:tls.test:443:evil.test", "tls:tls.test:443:-",
                    "tls:cdn.test:443:tls.test", "tcp:tls.test:443:SSH-2.0-x",
                    "http:web.test:80:evil.test", "proxy:web.test:80:web.test",
                    "tcp:web.test:80:SSH-2.0-x"):
        assert got[refused] in ("Connection reset by peer",), (refused, result)
    assert got["tcp:host:9000:hi"] == "got served by 127.0.0.1:9000", result
    assert got["tcp:host:9001:hi"] == "Connection refused", result
    assert got["name:nothing.test"] == got["name:rebind.test"] == "no such name", result
    assert got["name:mixed.test"] == f"is {OTHER}", result
    assert got[f"udp:{GOOD}:123:time"] == "got heard time", result
    assert got[f"udp:{OTHER}:123:time"] == "Host is unreachable", result
    # No byte of a refused connection reached a listener.
    said = result["reached"]
    assert sum("tls.test" in data for data in said[f"{GOOD}:443"]) == 5, said
    assert not any(data for data in said[f"{OTHER}:443"]), said
    assert [data for data in said[f"{GOOD}:80"] if data] == ["GET / HTTP/1.1\r\nHost: web.test\r\n\r\n"], said
    assert not any("evil" in data or "SSH" in data for data in said[f"{GOOD}:443"]), said
    assert "127.0.0.1:9001" not in said and f"{OTHER}:123" not in said, said
    assert "nothing.test" not in result["asked"], result["asked"]
    assert ("tls.test", "allow") in verdicts(result, "connect"), result["audit"]
    assert ("evil.test", "deny") in verdicts(result, "connect"), result["audit"]
    assert ("nothing.test", "deny") in verdicts(result, "resolve"), result["audit"]
    assert any("good.test" in line["object"] and "in=9" in line["detail"] for line in ends), ends


@cordon.limit(900)
def test_nothing_else_is_reached():
    """Ports, addresses and spellings without a rule: over 100 attempts, with listeners there, are refused at once."""
    count = cordon.many(100, 300)
    refused = f"scan:{OTHER}:1001-{1000 + count}"
    spelled = ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "10.9.2313", "0xa9fea9fe",
               "2852039166", "169.254.43518"]
    probes = [refused, f"tcp:{GOOD}:443:x", f"tcp:{GOOD}:80:x",
              f"tcp:{OTHER}:443:x", f"tcp:{PRIVATE}:443:x", f"tcp:{METADATA}:80:x",
              f"udp:{OTHER}:53:x", *(f"tcp:{name}:80:x" for name in spelled),
              "tcp:192.0.2.1:80:x", "tcp:192.0.2.4:9001:x", "tcp:192.0.2.99:80:x",
              "tcp:192.0.2.4:9000:allowed"]
    # There are as many listeners as attempts; the last twenty are permitted, and found.
    result, got = probe(*probes, f"scan:{OTHER}:1301-1320", rules=RULES +
                        f"net allow tcp {OTHER}/32:1301-1320\n", listen=[OTHER, 1001, 1320])
    assert got[refused] == f"open 0, refused {count}, other 0", result
    assert got[f"scan:{OTHER}:1301-1320"] == "open 20, refused 0, other 0", result
    for name in probes[1:-1]:
        assert got[name] in ("Connection refused", "Host is unreachable"), (name, result)
    assert got[probes[-1]] == "got served by 127.0.0.1:9000", result
    assert set(result["reached"]) == {"127.0.0.1:9000"} | \
        {f"{OTHER}:{port}" for port in range(1301, 1321)}, result["reached"]


ASKS = """policy 1
net allow tcp  host:9000
net ask   tcp  good.test:8000
net ask   tls  tls.test:443
net ask   udp  93.184.216.34/32:123
"""

# A sandbox that stays, with an operator who gets each question and decides it.
OPERATOR = r"""set -e
export XDG_RUNTIME_DIR="$work"
cleanup() { exec 3>&-; "$cordon" kill box 2>/dev/null; }
trap cleanup EXIT
await() { while ! grep -q "$2" "$1"; do kill -0 $operator; sleep 0.1; done; }
cd "$work"
"$cordon" start --policy "$policy" --audit "$audit" box </dev/null
mkfifo in; "$cordon" ask box <in >out 2>err & operator=$!
exec 3>in
"$cordon" exec box -- sh -c 'cat >/tmp/net; chmod 755 /tmp/net' <"$net"
"$cordon" exec box -- /tmp/net tcp:good.test:8000 tcp:good.test:8000 tcp:good.test:8000     tls:tls.test:443:tls.test udp:93.184.216.34:123:a udp:93.184.216.34:123:b     tls:tls.test:443:tls.test & probes=$!
await out '^1: '
"$cordon" exec box -- /tmp/net tcp:host:9000:meanwhile
"$cordon" stats --json box >stats-before
echo 1 once >&3
await out '^2: .*? ('
"$cordon" ask box 2 session
await out '^3: .*? ('; echo 3 no >&3
await out '^4: .*? ('; echo 4 never >&3
await out '^5: .*? ('; echo 77 once >&3; echo 5 perhaps >&3; echo 5 once >&3
wait $probes
"$cordon" stats --json box >stats-after
exec 3>&-
wait $operator
"$cordon" exec box -- /tmp/net tls:tls.test:443:tls.test
"$cordon" stop box
trap - EXIT
echo; cat stats-before; echo; cat stats-after; echo; cat out; echo; cat err
"""


@cordon.limit(900)
def test_an_operator_decides():
    """Flows of an ask rule wait for the operator, others do not; once, always, no, never; without one, denied."""
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as directory:
        environment = {"work": directory, "cordon": cordon.PROGRAM, "net": cordon.program("net"),
                       "audit": os.path.join(directory, "audit"),
                       "policy": os.path.join(directory, "policy")}
        with open(environment["policy"], "w", encoding="utf-8") as file:
            file.write(ASKS)
        result = in_world(["bash", "-c", OPERATOR], environment)
        audit = cordon.audit_log(environment["audit"])
    assert result["status"] == 0, result
    probes, before, after, shown, errors = result["stdout"].split("\n\n")
    assert probes.splitlines() == [
        "tcp:host:9000:meanwhile: got served by 127.0.0.1:9000",    # while question 1 was open
        "tcp:good.test:8000: got 220 first",
        "tcp:good.test:8000: got 220 first",
        "tcp:good.test:8000: got 220 first",                        # remembered
        "tls:tls.test:443:tls.test: connect: Connection refused",
        f"udp:{GOOD}:123:a: receive: Host is unreachable",
        f"udp:{GOOD}:123:b: receive: Host is unreachable",
        f"tls:tls.test:443:tls.test: got served by {GOOD}:443",
        "tls:tls.test:443:tls.test: connect: Connection refused"], result["stdout"]
    lines = shown.splitlines()
    policy = environment["policy"]
    assert [line for line in lines if "? (" in line] == [
        f"1: tcp good.test {GOOD}:8000? ({policy}:3)", f"2: tcp good.test {GOOD}:8000? ({policy}:3)",
        f"3: tls tls.test {GOOD}:443? ({policy}:4)", f"4: udp tls.test {GOOD}:123? ({policy}:5)",
        f"5: tls tls.test {GOOD}:443? ({policy}:4)"], shown
    assert any(line.startswith("2: session by uid 0, process ") for line in lines), shown
    assert re.search(r"question \d+ is not open: 'cordon ask \S+' shows the open ones", errors) and "never" in errors, errors
    assert f"{GOOD}:123" not in result["reached"], result["reached"]
    assert len([data for data in result["reached"][f"{GOOD}:443"] if "tls.test" in data]) == 1, result
    # One line for each question, one for each decision and who made it, and the flow's own with the rule.
    questions = [line["object"] for line in audit if line.get("event") == "ask"]
    answers = [line["detail"] for line in audit if line.get("event") == "answer"]
    assert len(questions) == len(answers) == 5 and "by uid 0, process" in answers[0], audit
    verdicts_ = [(line["verdict"], line["rule"].rsplit(":")[-1], line["reason"]) for line in audit
                 if line.get("op") == "connect"]
    assert ("allow", "3", "an operator allowed it") in verdicts_, verdicts_
    assert ("allow", "3", "an operator allowed it earlier, for the sandbox's life") in verdicts_, verdicts_
    assert ("deny", "4", "an operator refused it") in verdicts_, verdicts_
    assert ("deny", "4", "the rule needs an operator's approval, and no operator is attached") in verdicts_, verdicts_
    before, after = json.loads(before), json.loads(after)
    assert before["net_questions_open"] == 1 and after["net_questions_open"] == 0, (before, after)
    assert all(after[f"net_{key}"] >= before[f"net_{key}"] for key in ("refused", "flooded", "dropped", "unlogged")), after
    assert isinstance(after["net_bad_frames"], dict), after
    ends = [line["detail"] for line in audit if line.get("event") == "flow-end" and
            line["object"] == f"tcp {GOOD}:8000 good.test"]
    assert len(ends) == 3 and all("end=closed" in end and "in=9 " in end for end in ends), audit


@cordon.limit(600)
def test_a_command_decides():
    """--on-ask: a command decides; each of its replies, valid or not, and how often it runs."""
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as directory:
        script = os.path.join(directory, "decide")
        with open(script, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n"
                       f'echo "$@" >>{directory}/asked\n'
                       f'cat >>{directory}/questions\n'
                       f'env >{directory}/environment\n'
                       f'for i in $(seq 0 99); do [ ! -e /proc/$$/fd/$i ] || echo $i; done >{directory}/descriptors\n'
                       """[ "$1" = tcp ] && echo '{"answer":"session","reason":"on the\\u001b[1m list"}'\n"""
                       '[ "$1" = udp ] && exit 1\n'
                       '[ "$1" = tls ] && echo maybe\nexit 0\n')
        os.chmod(script, 0o755)
        result, got = probe("tcp:good.test:8000", "tcp:good.test:8000", f"udp:{GOOD}:123:x",
                            "tls:tls.test:443:tls.test", rules=ASKS,
                            options=["--on-ask", script])
        with open(os.path.join(directory, "asked"), encoding="utf-8") as file:
            asked = [line.split()[:4] for line in file]
        with open(os.path.join(directory, "questions"), encoding="utf-8") as file:
            questions = [json.loads(line) for line in file]
        with open(os.path.join(directory, "environment"), encoding="utf-8") as file:
            names = {line.split("=")[0] for line in file}
        with open(os.path.join(directory, "descriptors"), encoding="utf-8") as file:
            descriptors = file.read().split()
    # The command has those of the caller's variables and descriptors that its user's programs need.
    assert "PATH" in names and not [name for name in names if name.startswith("CORDON_")], names
    assert [number for number in descriptors if int(number) < 10] == ["0", "1", "2"], descriptors   # above: sh's own
    assert got["tcp:good.test:8000"] == "got 220 first", result
    assert got[f"udp:{GOOD}:123:x"] == "Host is unreachable", result
    assert got["tls:tls.test:443:tls.test"] == "Connection refused", result
    assert asked == [["tcp", "good.test", GOOD, "8000"], ["udp", "good.test", GOOD, "123"],
                     ["tls", "tls.test", GOOD, "443"]], asked
    assert [[question[key] for key in ("protocol", "name", "address", "port")] for question in questions] == \
        [["tcp", "good.test", GOOD, 8000], ["udp", "good.test", GOOD, 123], ["tls", "tls.test", GOOD, 443]], questions
    assert [question["question"] for question in questions] == [1, 2, 3] and "id" not in questions[0], questions
    details = [line["detail"] for line in result["audit"] if line.get("event") == "answer"]
    assert details == ["question=1 answer=session by the command of --on-ask: on the\\x1b[1m list",
                       *(f"question={number} answer=no: the command of --on-ask made no decision: {why}" for number, why in
                         ((2, "its exit status is not 0"), (3, "its answer is not one line of JSON")))]
    assert set(result["reached"]) == {f"{GOOD}:8000", "127.0.0.53:53"}, result


@cordon.limit(300)
def test_ask_rules_without_an_operator():
    """Without an operator an ask rule denies, except for what --allow-net names: that works."""
    result = world(["sh", "-c", "cat >/tmp/net; chmod 755 /tmp/net; /tmp/net tcp:good.test:8000 "
                    "tcp:host:9000:hi tls:tls.test:443:tls.test"], stdin=cordon.program("net"), rules=ASKS,
                   options=["--allow-net", "tls.test:443"])
    assert result["stdout"] == ("tcp:good.test:8000: connect: Connection refused\n"
                                "tcp:host:9000:hi: got served by 127.0.0.1:9000\n"
                                f"tls:tls.test:443:tls.test: got served by {GOOD}:443\n"), result
    assert any(line.get("rule") == "--allow-net:1" for line in result["audit"]), result["audit"]
    assert "cordon: warning: " in result["stderr"] and result["stderr"].count("\n") == 1, result
    assert "policy:3 is an 'ask' rule: approve with 'cordon ask run-" in result["stderr"], result


@cordon.limit(300)
def test_no_rule_no_network():
    """Without a rule the guest has no address and no route, and cannot send."""
    with open(cordon.program("net"), "rb") as program:
        result = run("sh", "-c", "cat >/tmp/net; chmod 755 /tmp/net; cat /sys/class/net/eth0/operstate;"
                     f" exec /tmp/net tcp:{GOOD}:80", stdin=program.read())
    result.expect(0, b"down\n" + f"tcp:{GOOD}:80: connect: Network unreachable\n".encode(), b"")


@cordon.limit(300)
def test_the_relay_dies():
    """A sandbox whose relay dies goes on, and its user gets one line."""
    result = world(["sh", "-c", "echo begun; while ip route | grep -q default && "
                    "[ $(cat /sys/class/net/eth0/carrier) = 1 ]; do sleep 0.1; done; echo ended"],
                   **{"kill relay": True})
    assert result["status"] == 0 and result["stdout"] == "ended\n", result
    assert result["stderr"].startswith("cordon: warning: the sandbox has no network any more: "), result
    assert "signal 9" in result["stderr"] and result["stderr"].count("\n") == 1, result
    assert any(line.get("event") == "network-lost" for line in result["audit"]), result


@cordon.limit(600)
def test_tap():
    """A tap made by an administrator is not filtered: the guest has its addresses, and reaches what the host does
    but for the host's loopback."""
    probes = [f"tcp:{GOOD}:80:x", f"tcp:{PRIVATE}:443:x", f"tcp:{METADATA}:80:x", "tcp:10.99.0.1:9003:x",
              f"udp:{OTHER}:53:x", "name:rebind.test", "tcp:good.test:8000", "tcp:127.0.0.1:9000:x",
              f"tcp:{GOOD}:81:x", f"echo:{GOOD}:7:{cordon.many(300000, 3000000)}"]
    words = " ".join(f"'{word}'" for word in probes)
    with open(cordon.program("net"), "rb") as one, open(cordon.program("serve"), "rb") as two:
        programs = [one.read(), two.read()]
    with tempfile.NamedTemporaryFile(prefix="cordon-test.") as both:
        both.write(b"".join(programs))
        both.flush()
        size = len(programs[0])
        result = world(["sh", "-c", f"cat >/tmp/both; head -c {size} /tmp/both >/tmp/net;"
                        f" tail -c +{size + 1} /tmp/both >/tmp/serve; chmod 755 /tmp/net /tmp/serve;"
                        f" /tmp/net {words} >&2; cat /sys/class/net/eth0/mtu /etc/resolv.conf >&2;"
                        f" grep -c '^fd99.*02 .* 40 00 .*eth0' /proc/net/if_inet6 >&2;"
                        f" exec /tmp/serve tcp:80"], tap="tap9", stdin=both.name, nameserver="10.99.0.1",
                       search="search good.test\n", rules="policy 1\nnet allow any\n",
                       options=["--net", "tap=tap9", "--net-rate", "10M:5000"],
                       visits=[["tcp", "10.99.0.2", 80, "one"], ["tcp", "10.99.0.2", 81, "no"],
                               ["tcp", "10.99.0.2", 80, "two", OTHER],
                               ["tcp", "10.99.0.2", 80, "quit"]])
    risk, warning, *lines, mtu, nameserver, search, ipv6 = result["stderr"].splitlines()
    has_ipv6 = os.path.exists("/proc/net/if_inet6")
    got = {probe: line[len(probe) + 2:] for probe, line in zip(probes, lines, strict=True)}
    assert risk.endswith("policy:2: everything on the network, the local network included, is within reach"), result
    assert warning == ("cordon: warning: --net tap=tap9 is not filtered: the sandbox reaches all that the host routes "
                       "for it, and the host's own services at 10.99.0.1" + " and fd99::1" * has_ipv6), result
    assert got[f"tcp:{GOOD}:80:x"] == f"got served by {GOOD}:80", result
    assert got[f"tcp:{PRIVATE}:443:x"] == f"got served by {PRIVATE}:443", result
    assert got[f"tcp:{METADATA}:80:x"] == f"got served by {METADATA}:80", result
    assert got["tcp:10.99.0.1:9003:x"] == "got served by 10.99.0.1:9003", result
    assert got[f"udp:{OTHER}:53:x"] == "got heard x", result
    # Replies come from the host's resolver as they are.
    assert got["name:rebind.test"] == f"is {PRIVATE} {METADATA} 127.0.0.1", result
    assert got["tcp:good.test:8000"] == "got 220 first", result
    # Its own loopback, not the host's.
    assert got["tcp:127.0.0.1:9000:x"] == got[f"tcp:{GOOD}:81:x"] == "connect: Connection refused", result
    assert got[probes[-1]] == cordon.many("300000 of 300000", "3000000 of 3000000"), result
    assert mtu == "1500" and nameserver == "nameserver 10.99.0.1" and search == "search good.test", result
    assert ipv6 == str(int(has_ipv6)), result
    assert result["visited"] == ["tcp:80 from 10.99.0.1 heard one", "Connection refused",
                                 f"tcp:80 from {OTHER} heard two",
                                 "tcp:80 from 10.99.0.1 heard quit"], result
    assert "127.0.0.1:9000" not in result["reached"], result
    # One line says so, and none tells of a flow.
    assert [line["event"] for line in result["audit"]] == ["open", "open", "network-unfiltered", "close", "close"], (
        result["audit"])


@cordon.limit(600)
def test_tap_policy():
    """A policy that is set later and does not say `net allow any` first ends the tap's link, with one line."""
    cordon.need_root()
    cordon.need_program("unshare", "ip")
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as directory:
        for name, rules in (("any", "net allow any\n"), ("less", "net deny tcp evil.test:*\nnet allow any\n")):
            with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
                file.write("policy 1\n" + rules)
        script = ("cd $1; c=$2; carrier='cat /sys/class/net/eth0/carrier'\n"
                  "$c start --policy any --net tap=tap9 tap-policy || exit\n"
                  "$c exec tap-policy -- sh -c 'nc 10.99.0.1 9002 </dev/null; echo; '\"$carrier\"\n"
                  "$c policy set tap-policy less && $c exec tap-policy -- sh -c \"$carrier\"\n"
                  "$c audit tap-policy --json | grep -o 'network-[a-z]*'; ip link show tap9 | grep -o NO-CARRIER\n"
                  "$c ps | grep -o 'network lost'\n"
                  "$c kill tap-policy")
        result = in_world(["sh", "-c", script, "sh", directory, cordon.PROGRAM], tap="tap9")
    assert result["status"] == 0, result
    assert result["stdout"].splitlines() == ["served by 10.99.0.1:9002", "1", "0", "network-unfiltered",
                                             "network-lost", "NO-CARRIER", "network lost"], result
    # The resolver is at the host's loopback.
    assert "names do not resolve in the sandbox: /etc/resolv.conf has no nameserver" in result["stderr"], result


def test_bad_taps():
    """Each kind of unusable tap is refused in one line, before anything starts."""
    cordon.need_root()
    cordon.need_program("ip", "unshare")
    rules = cordon.scratch("rules", b"policy 1\nnet allow any\n")

    def attempt(name, *commands, options=()):
        script = " && ".join([*commands, 'exec "$@"'])
        return cordon.Process("-n", "sh", "-c", script, "sh", cordon.PROGRAM, "run", "--policy", rules,
                              "--net", f"tap={name}", *options, "--", "true",
                              program=shutil.which("unshare")).wait()

    def refused(done, *words):
        # After the policy's own warning.
        done.expect_error(*words, lines=2)
    made = "ip tuntap add t0 mode tap"
    refused(attempt("t0"), "there is no interface t0: ip tuntap add t0 mode tap")
    refused(attempt("lo", "ip link set lo up"), "lo is not a tap")
    refused(attempt("t0", made), "t0 has no IPv4 address: ip addr add")
    refused(attempt("t0", made, "ip addr add 10.99.0.1/31 dev t0"), "t0 has the prefix /31", "from /1 to /30")
    refused(attempt("t0", made, "ip addr add 10.99.0.1/30 dev t0"), "t0 is down: ip link set t0 up")
    refused(attempt("t0", made + " multi_queue", "ip addr add 10.99.0.1/30 dev t0"), "several queues")
    refused(attempt("t0", made, options=["--publish", "80:80"]), "--publish: with --net tap=t0", "an address of its own")
    attempt("").expect_error("is not the name of an interface")


def test_bad_options():
    call("run", "--net", "user", "--", "true").expect_error("allows no network")
    for rules in (b"", b"net allow tcp *:*\n", b"net deny tcp evil.test:*\nnet allow any\n"):
        policy = cordon.scratch("rules", b"policy 1\n" + rules)
        call("run", "--policy", policy, "--net", "tap=tap0", "--", "true").expect_error(
            "--net tap=tap0: frames on a tap are not filtered", 'the first net rule of the policy', '"net allow any"', lines=None)
    call("run", "--net-rate", "fast", "--", "true").expect_error("--net-rate", "is not a size")
    call("run", "--net-rate", "1M:0", "--", "true").expect_error("--net-rate", "whole number")
    call("run", "--net", "lan", "--", "true").expect_error("is no network: none, user (through the policy) or tap=")
