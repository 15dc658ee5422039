# SPDX-License-Identifier: Apache-2.0
"""Published ports: what comes in, and that nothing else does."""
import os
import socket
import tempfile

import cordon
from cordon import call
from test_network import GOOD, OTHER, world


def serve(ports, visits, options, rules="policy 1\n", more=""):
    """Run programs/serve.c with ports in a small Internet, and make visits; the last one ends it."""
    command = f"cat >/tmp/serve; chmod 755 /tmp/serve; {more} exec /tmp/serve {' '.join(ports)}"
    result = world(["sh", "-c", command], rules=rules, options=options,
                   stdin=cordon.program("serve"), visits=visits)
    assert result["status"] == 0 and result["stderr"] == "", result
    assert result["stdout"] == "ready\n", result
    return result


@cordon.limit(600)
def test_published_ports():
    """A published port is reached at its address and no other, without a rule in the policy; all is logged."""
    host = "127.0.0.1"
    result = serve(["tcp:80", "udp:53"],
                   [["tcp", host, 8080, "one"], ["tcp", host, 8081, "two"],
                    ["tcp", GOOD, 8081, "three", OTHER], ["udp", host, 5353, "four"],
                    ["tcp", GOOD, 8080, "no"], ["tcp", host, 80, "no"], ["tcp", host, 8082, "no"],
                    ["tcp", host, 80, "no"], ["tcp", OTHER, 8083, "five"],
                    ["tcp", GOOD, 8083, "no"], ["tcp", host, 8080, "quit"]],
                   ["--publish", "8080:80", "--publish", "0.0.0.0:8081:80/tcp",
                    "--publish", "5353:53/udp", "--publish", "8082:81",
                    "--publish", f"{OTHER}:8083:80"])
    got = result["visited"]
    assert got[0] == "tcp:80 from 192.0.2.4 heard one", result
    assert got[1] == "tcp:80 from 192.0.2.4 heard two", result
    assert got[2] == f"tcp:80 from {OTHER} heard three", result
    assert got[3] == "udp:53 from 192.0.2.4 heard four", result
    assert got[4] == got[5] == got[7] == got[9] == "Connection refused", result
    # The guest has no listener there: the client is disconnected at once, after the host's end has connected.
    assert got[6] == "Connection reset by peer", result
    assert got[8].startswith("tcp:80 from ") and got[8].endswith("heard five"), result
    begun = [line for line in result["audit"] if line.get("op") == "listen"]
    assert all(line["verdict"] == "allow" and line["rule"] == "--publish" for line in begun), begun
    assert [line["port"] for line in begun] == [80, 80, 80, 53, 81, 80, 80], begun
    assert [line["protocol"] for line in begun].count("udp") == 1, begun
    ends = [line["detail"] for line in result["audit"] if line.get("event") == "flow-end"]
    assert len(ends) == len(begun), result["audit"]
    assert any(f"out={len(got[2])} in=5 " in detail for detail in ends), ends


@cordon.limit(300)
def test_published_port_is_no_way_out():
    """Publishing a port allows the guest nothing else, and the rules stay as they are."""
    probes = f"tcp:{GOOD}:80:x tcp:192.0.2.4:9000:x name:good.test"
    with open(cordon.program("net"), "rb") as client, open(cordon.program("serve"), "rb") as server:
        with tempfile.NamedTemporaryFile(prefix="cordon-test.") as both:
            both.write(client.read() + server.read())
            both.flush()
            size = os.path.getsize(cordon.program("net"))
            result = world(["sh", "-c", f"cat >/tmp/both; head -c {size} /tmp/both >/tmp/net;"
                            f" tail -c +{size + 1} /tmp/both >/tmp/serve; chmod 755 /tmp/net /tmp/serve;"
                            f" /tmp/net {probes} >&2; exec /tmp/serve tcp:80"],
                           rules="policy 1\n", options=["--publish", "8080:80"], stdin=both.name,
                           visits=[["tcp", "127.0.0.1", 8080, "quit"]])
    assert result["visited"] == ["tcp:80 from 192.0.2.4 heard quit"], result
    assert result["stderr"] == (f"tcp:{GOOD}:80:x: connect: Connection refused\n"
                                "tcp:192.0.2.4:9000:x: connect: Connection refused\n"
                                "name:good.test: no such name\n"), result
    assert result["reached"] == {} and result["asked"] == [], result


def test_bad_published_ports():
    """A port that can't be published is refused in one line, before anything starts."""
    def refused(why, *values):
        options = [word for value in values for word in ("--publish", value)]
        call("run", *options, "--", "true").expect_error(why)
        call("start", *options, "never").expect_error(why)
    refused("not a port of the host", "99999:80")
    refused("such as 8080:80", "80")
    for port in ("8080:80", "127.0.0.1:8080"):
        call("unpublish", "box", port).expect_error("the port of the host only")
    refused("not an IPv4 address", "localhost:8080:80")
    refused("is published twice", "8080:80", "0.0.0.0:8080:81")
    refused("more than 16 ports", *(f"{port}:80" for port in range(20000, 20017)))
    refused("not an address of this host", "203.0.113.99:8080:80")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(f"--publish 127.0.0.1:{port}:80/tcp: port {port} of 127.0.0.1 is in use", f"{port}:80")
    call("run", "--net", "none", "--publish", "8080:80", "--", "true").expect_error("--net none")
