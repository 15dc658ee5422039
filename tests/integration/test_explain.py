# SPDX-License-Identifier: Apache-2.0
"""What `policy explain`, `why` and `policy learn` say of a policy or a log, without a sandbox."""
import json

from cordon import call, work, write


def policy(text, name="p"):
    return write(name, "policy 1\n" + text)


def test_policy_explains_http_requests():
    p = policy("net deny http api.example.com/v1/admin\nnet allow http GET api.example.com/v1/**\n")
    for words, verdict in ((["api.example.com/v1/%75sers/?q"], "allow"), (["GET", "api.example.com:80/v1"], "allow"),
                           (["api.example.com"], "allow"), (["POST", "api.example.com/v1/users"], "deny"),
                           (["api.example.com:81/v1"], "deny"), (["api.example.com/v1/admin/x"], "deny"),
                           (["api.example.com/v1/x/..//y"], "deny")):
        assert call("policy", "explain", p, "net", "http", *words).expect(0).stdout.split()[1] == verdict.encode(), words
    call("policy", "explain", p, "net", "http", "api.example.com/%2").expect_error("not the path of a URL")
    assert b"warning: servers may read this path in two ways (a dot segment" in call(
        "policy", "explain", p, "net", "http", "api.example.com/v1/x/../y").expect(0).stderr
    for words, why in ((["/v1"], "give HOST"), (["get", "api.example.com/v1"], "a method in capitals"),
                       (["http://api.example.com/v1"], "leave out 'http://'")):
        call("policy", "explain", p, "net", "http", *words).expect_error(why)
    assert b":3: host: net allow http GET api.example.com/v1/**\n" in call("policy", "check", p).expect(0).stdout, p


def test_policy_explains_one_peer():
    p = policy("net allow tcp *:22 host:80 [2001:470::1]:80\nnet allow icmp *\n")
    for words, verdict in ((["tcp", "a.example:22"], "allow"), (["tcp", "host:80"], "allow"),
                           (["tcp", "2001:470::1:80"], "allow"), (["icmp", "2001:470::1"], "allow")):
        result = call("policy", "explain", p, "net", *words).expect(0, stderr=b"")
        assert result.stdout.split()[1] == verdict.encode(), words
    for words, why in ((["tcp", "*.example:22"], "not a pattern"), (["tcp", "8.8.8.0/24:22"], "not a pattern"),
                       (["tcp", ":22"], "not a name"), (["tcp", "300.1.1.1:22"], "not a name or an address"),
                       (["icmp", "a.example:22"], "icmp has no ports"), (["icmp", "[2001:470::1]:7"], "icmp has no ports"),
                       (["dns", "a.example:53"], "dns has no ports"), (["tls", "https://a.example:443"], "leave out")):
        call("policy", "explain", p, "net", *words).expect_error(why)
    for peer in ("127.0.0.1:22", "localhost:22", "[::1]:22"):
        assert b"the sandbox's own loopback" in call("policy", "explain", p, "net", "tcp", peer).expect(0).stderr, peer


def test_why_explains_what_the_network_refuses():
    """What the relay refuses without a rule is explained as a denial is; other events are not."""
    refused = {"time": "2026-01-01T00:00:00.000000Z", "event": "flow-refused", "class": "net"}
    events = [dict(refused, event="flow-end", object="tcp 192.0.2.4:80", detail="end=closed"),
              dict(refused, object="tls 198.51.100.7:443", detail="not a TLS ClientHello"),
              dict(refused, object="icmp 198.51.100.7:0", detail="no ping sockets (net.ipv4.ping_group_range)"),
              dict(refused, object="tcp 198.51.100.7:1", detail="the relay has no socket left"),
              dict(refused, event="dns-answer", object="in.example", detail="rcode=0 stripped=2 addresses="),
              dict(refused, event="network-lost", object="relay", detail="it was ended by signal 9")]
    lines = [json.dumps({"seq": i, **event, "hash": 64 * "0"}, separators=(",", ":")) + "\n" for i, event in enumerate(events, 1)]
    write("log", lines[0])
    write("log.denials", "".join(lines[1:]))
    for number, *wanted in ((2, "reason: not a TLS ClientHello", "write a 'tcp' rule"),
                            (3, "ping_group_range of the host", "sysctl -w"), (4, "docs/network.md"),
                            (5, "not of the public Internet", "net allow tcp 10.1.2.3:443"),
                            (6, "reason: it was ended by signal 9", "start another one")):
        why = call("why", work("log"), str(number)).expect(0, stderr=b"").stdout.decode()
        assert all(text in why for text in wanted), why
    assert call("why", work("log")).expect(0).stdout.startswith(b"6 ")
    call("why", work("log"), "1").expect_error("line 1 is not a decision")
    for detail in ("rcode=0 stripped=0 addresses=", "rcode=0 stripped=1 addresses=8.8.8.8"):
        write("log", lines[0].replace("flow-end", "dns-answer").replace("end=closed", detail))
        call("why", work("log"), "1").expect_error("line 1 is not a decision")


def test_why_hints_about_connections():
    """Behind the line to add: what a query's rule does not open, a narrower rule, what kind of address it is."""
    common = {"time": "2026-01-01T00:00:00.000000Z", "class": "net", "verdict": "deny", "rule": "default", "where": "host",
              "reason": "no rule allows it"}
    to = {**common, "op": "connect", "protocol": "tcp", "port": 443}
    lines = [{**common, "op": "resolve", "protocol": "dns", "name": "a.example"},
             {**to, "name": "a.example", "address": "93.184.216.34"}, {**to, "address": "169.254.169.254", "port": 80},
             {**to, "name": "a.example", "address": "93.184.216.34", "port": 22}]
    write("kept/log", "".join(json.dumps({"seq": i, **line, "hash": 64 * "0"}, separators=(",", ":")) + "\n"
                              for i, line in enumerate(lines, 1)))
    write("kept/policy.json", json.dumps({"name": "p", "folder": "/", "cwd": "/", "home": "/", "rootfs": False, "shares": [],
                                          "parts": [], "text": "policy 1\nnet allow tls b.example:443\n"}))
    said = [call("why", work("kept/log"), str(i + 1)).expect(0, stderr=b"").stdout.decode() for i in range(len(lines))]
    assert "    net allow dns a.example\n" in said[0] and "That opens no connection" in said[0], said
    assert "    net allow tcp a.example:443\n" in said[1] and "write tls in place of tcp" in said[1], said
    assert "public Internet (link-local; metadata" in said[2] and "in place" not in said[2], said
    assert said[3].endswith("at the end of the policy\n"), said


def test_why_explains_moves():
    """No line allows a move between places with different rules beneath them; one with the same rules is a question."""
    move = {"time": "2026-01-01T00:00:00.000000Z", "class": "file", "op": "rename", "object": "/w/asked/f", "type": "folder",
            "verdict": "deny", "rule": "p:3", "where": "host"}
    lines = [{**move, "other": "/w/f", "reason": "the rules beneath the directory's old and new name differ"},
             {**move, "other": "/w/asked/g", "reason": "the rule needs an operator's approval, and no operator is attached"}]
    write("moves/log", "".join(json.dumps({"seq": i, **line, "hash": 64 * "0"}, separators=(",", ":")) + "\n"
                               for i, line in enumerate(lines, 1)))
    write("moves/policy.json", json.dumps({"name": "p", "folder": "/", "cwd": "/", "home": "/", "rootfs": False, "shares": [],
                                           "parts": [], "text": "policy 1\nshare /tmp /w\nfile ask-write /w/asked/**\n"
                                                                "file write /w/**\n"}))
    said = [call("why", work("moves/log"), str(i + 1)).expect(0, stderr=b"").stdout.decode() for i in range(len(lines))]
    assert "EXDEV" in said[0] and "add" not in said[0] and "operator" not in said[0], said
    assert "    file write /w/asked/f\n" in said[1] and "an operator may approve it" in said[1], said
    text = open(work("moves/policy.json"), encoding="utf-8").read()
    write("moves/policy.json", text.replace("policy 1", "policy 1\\non-ask deny"))
    said = call("why", work("moves/log"), "2").expect(0, stderr=b"").stdout.decode()
    assert "no operator is asked" in said and "may approve" not in said, said


def test_policy_learn_is_not_steered_by_names():
    """A log whose objects look like rules: each stays a name, or is left out and counted."""
    names = ("/w/plain", "/w/two words", "/w/#x", "/w/*", "/w/notes\nnet\tallow\ttcp\thost:1-65535", "/w/t\tb", "/w/\u202e",
             "/w/\u009b", "/w/.git/objects/ab/cd", "/w/.git/objects/ef/01", "/w/.git/config")
    log = write("log", "".join(json.dumps({
        "seq": number, "time": "2026-01-01T00:00:00.000000Z", "class": "file", "op": "write", "object": name,
        "verdict": "allow", "rule": "p:3", "where": "host", "reason": "x", "hash": "0" * 64},
        separators=(",", ":")) + "\n"
        for number, name in enumerate(names, 1)) + json.dumps({
            "seq": len(names) + 1, "class": "net", "op": "connect", "protocol": "tcp", "address": "none", "port": 443,
            "verdict": "allow", "hash": "0" * 64}, separators=(",", ":")) + "\n")
    learned = call("policy", "learn", log).expect(0).stdout.decode()
    assert "net" not in learned and "\t" not in learned, learned
    rules = [line for line in learned.splitlines() if not line.startswith("#")]
    assert sorted(rules) == ["file write /w/.git/objects/[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]*", "file write /w/\\#x",
                             "file write /w/\\*", "file write /w/plain", "file write /w/two\\ words", "policy 1"], learned
    assert "# protected, not proposed: file write /w/.git/config" in learned and "# left out: 5 objects" in learned, learned
    call("policy", "check", write("learned", learned.replace("policy 1\n", "policy 1\nshare . /w\n"))).expect(0)


def learned_from(*lines):
    common = {"time": "2026-01-01T00:00:00.000000Z", "class": "exec"}
    log = write("log", "".join(json.dumps({"seq": number, **common, **line, "hash": "0" * 64}, separators=(",", ":")) + "\n"
                               for number, line in enumerate(lines, 1)))
    learned = call("policy", "learn", log).expect(0).stdout.decode()
    call("policy", "check", write("learned", learned)).expect(0)
    return learned


def test_policy_learn_of_programs():
    """Decisions about programs, and starts of processes, become exec rules, with what the log of starts lacks."""
    start = {"event": "process-start", "detail": "parent=1 argv=x", "claimed_pid": 7}
    decision = {"op": "run", "verdict": "allow", "rule": "p:2", "where": "guest", "reason": "x"}
    libraries = "exec allow /usr/lib*/** /lib*/**\n"
    learned = learned_from({**start, "object": "/usr/bin/a b"}, {**start, "object": "/usr/bin/a b"},
                           {**start, "object": ""}, {**start, "event": "process-end", "object": "/no"})
    assert "exec allow /usr/bin/a\\ b\n# 'audit processes' logs no" in learned and libraries in learned, learned
    assert "no rule can allow: 1\n" in learned and "/no" not in learned, learned
    assert "# Exec rules close ptrace, userns and memfd-exec" in learned, learned
    learned = learned_from({**start, "object": "/usr/bin/a"}, {**decision, "object": "/usr/lib/l.so"},
                           {**decision, "object": "no path: /memfd:x (deleted)", "verdict": "deny"})
    assert "exec allow /usr/bin/a\nexec allow /usr/lib/l.so\n" in learned and libraries not in learned, learned
    assert "no rule can allow: 1\n" in learned and "memfd:" not in learned, learned


def test_policy_learn_of_names():
    """A name whose query was denied becomes a dns rule; one that was allowed needs none; what is no name is left out."""
    query = {"class": "net", "op": "resolve", "protocol": "dns", "rule": "p:2", "where": "host", "reason": "x"}
    learned = learned_from({**query, "name": "a.example", "verdict": "deny"}, {**query, "name": "b.example", "verdict": "allow"},
                           {**query, "name": "192.0.2.7", "verdict": "deny"}, {**query, "name": "-c", "verdict": "deny"})
    assert [line for line in learned.splitlines() if not line.startswith("#")] == ["policy 1", "net allow dns a.example"], learned
    assert "# left out: 2 objects" in learned, learned
