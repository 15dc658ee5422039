# SPDX-License-Identifier: Apache-2.0
"""The network card of a sandbox: queue pairs, rate limits, and the cards of forks."""
import json
import os
import tempfile

import cordon
from cordon import run
from test_network import GOOD, in_world

RULES = """policy 1
net allow tcp  host:9000 good.test:8000 good.test:7
net allow udp  93.184.216.34/32:123
"""

# Functions of all scripts here: `on` runs programs/net.c in a sandbox, on one of its processors.
PROLOGUE = r"""set -e
export XDG_RUNTIME_DIR="$work"
boxes=box
cleanup() { for box in $boxes; do "$cordon" kill $box 2>/dev/null || true; done; }
trap cleanup EXIT
cd "$work"
put() { "$cordon" exec $1 -- sh -c 'cat >/tmp/net; chmod 755 /tmp/net' <"$net"; }
on() { "$cordon" exec $1 -- taskset $2 /tmp/net $3; }
"""


def script(text, rules=RULES, **task):
    """Run a script with its own sandbox in a small Internet; return its output and the audit log."""
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as directory:
        environment = {"work": directory, "cordon": cordon.PROGRAM, "net": cordon.program("net"),
                       "audit": os.path.join(directory, "audit"),
                       "policy": os.path.join(directory, "policy")}
        with open(environment["policy"], "w", encoding="utf-8") as file:
            file.write(rules)
        result = in_world(["bash", "-c", PROLOGUE + text], environment, **task)
        result["audit"] = cordon.audit_log(environment["audit"])
    assert result["status"] == 0, result
    return result


QUEUES = r"""
"$cordon" start --cpus 2 --net-queues 2 --policy "$policy" --audit "$audit" box </dev/null
put box
"$cordon" exec box -- ls /sys/class/net/eth0/queues
"$cordon" stats --json box | tr -d '\n'; echo
on box 1 udp:93.184.216.34:123:one
"$cordon" stats --json box | tr -d '\n'; echo
on box 2 udp:93.184.216.34:123:two
on box 2 tcp:host:9000:two
"$cordon" stats --json box | tr -d '\n'; echo
boxes="box box-1"
"$cordon" fork box 1
"$cordon" exec box-1 -- ls /sys/class/net/eth0/queues
on box-1 1 udp:93.184.216.34:123:three
on box-1 2 tcp:host:9000:four
"$cordon" stats --json box-1 | tr -d '\n'; echo
on box 1 tcp:host:9000:five
"""


@cordon.limit(600)
def test_several_queues():
    """Two processors with a queue pair each: replies arrive on the pair that sent, in a fork too."""
    lines = script(QUEUES)["stdout"].splitlines()
    names = ["rx-0", "rx-1", "tx-0", "tx-1"]
    assert lines[0:4] == names, lines
    before, one, two = (json.loads(lines[at])["net_queues"] for at in (4, 6, 9))
    assert lines[5] == f"udp:{GOOD}:123:one: got heard one", lines
    assert lines[7] == f"udp:{GOOD}:123:two: got heard two", lines
    assert lines[8] == "tcp:host:9000:two: got served by 127.0.0.1:9000", lines
    assert len(before) == len(one) == len(two) == 2, lines
    assert one[0]["frames_out"] > before[0]["frames_out"] and one[0]["frames_in"] > before[0]["frames_in"], lines
    # A datagram and its reply, and at least three segments of the connection.
    assert two[1]["frames_out"] >= one[1]["frames_out"] + 4 and two[1]["frames_in"] >= one[1]["frames_in"] + 3, lines
    assert lines[10] == "box-1" and lines[11:15] == names, lines
    assert lines[15] == f"udp:{GOOD}:123:three: got heard three", lines
    assert lines[16] == "tcp:host:9000:four: got served by 127.0.0.1:9000", lines
    fork = json.loads(lines[17])["net_queues"]
    assert len(fork) == 2 and all(pair["frames_out"] > 0 and pair["frames_in"] > 0 for pair in fork), lines
    assert lines[18] == "tcp:host:9000:five: got served by 127.0.0.1:9000", lines


RATE = r"""
"$cordon" start --net-rate %(rate)d --policy "$policy" --audit "$audit" box </dev/null
put box
look() { date +%%s%%N; "$cordon" stats --json box | tr -d '\n'; echo; date +%%s%%N; }
look
"$cordon" exec box -- /tmp/net echo:good.test:7:%(length)d >echoed & probe=$!
while kill -0 $probe 2>/dev/null; do look; sleep 1; done
look
cat echoed
"""


@cordon.limit(900)
def test_a_rate_holds():
    """--net-rate: no interval passes more than the rate and its burst, in either direction; all data arrives."""
    rate, length, frame = 65536, 640 << 10, 65536
    lines = script(RATE % {"rate": rate, "length": length})["stdout"].splitlines()
    assert lines.pop() == f"echo:good.test:7:{length}: {length} of {length}", lines
    looks = [(int(lines[at]), json.loads(lines[at + 1]), int(lines[at + 2]))
             for at in range(0, len(lines), 3)]
    looks = [(begin, stats["net_queues"][0], end) for begin, stats, end in looks]
    # Counters are read between the two times, so at most this much time lies between two readings.
    for way in ("bytes_out", "bytes_in"):
        assert looks[-1][1][way] >= length, looks
        for first, (begin, before, _) in enumerate(looks):
            for _, after, end in looks[first + 1:]:
                passed = after[way] - before[way]
                assert passed <= rate + frame + rate * (end - begin) / 1e9, (way, passed, begin, end)
        # The bound means something: what passed is more than four times what may pass at once.
        assert looks[-1][1][way] - looks[0][1][way] > 4 * (rate + frame), looks


FORKS = r"""
"$cordon" start --policy "$policy" --audit "$audit" box </dev/null
put box
look() { "$cordon" exec $1 -- sh -c 'cat /sys/class/net/eth0/address; cat /etc/resolv.conf'; }
look box
"$cordon" exec box -- /tmp/net tcp:good.test:8000
boxes="box box-1 box-2"
"$cordon" fork box 2
for box in box-1 box-2 box; do
	look $box
	"$cordon" exec $box -- /tmp/net tcp:host:9000:$box tcp:host:9001:$box tcp:good.test:80:$box \
		udp:93.184.216.34:123:$box name:tls.test
done
"$cordon" kill box-1
"$cordon" exec box-2 -- /tmp/net tcp:host:9000:again
"$cordon" exec box -- /tmp/net tcp:host:9000:again
look box
"""


@cordon.limit(900)
def test_forks_have_a_network():
    """Each fork has its parent's network on a card of its own: what the rules allow, and no more."""
    result = script(FORKS)
    lines = [line for line in result["stdout"].splitlines() if line != "nameserver 2001:db8::1"]
    resolver = "nameserver 192.0.2.1"
    first, lines[:3] = lines[0], lines[1:3]
    assert lines[:2] == [resolver, "tcp:good.test:8000: got 220 first"], lines
    assert lines[2:4] == ["box-1", "box-2"], lines
    addresses = []
    for at, box in zip((4, 11, 18), ("box-1", "box-2", "box"), strict=True):
        addresses.append(lines[at])
        assert lines[at + 1:at + 7] == [
            resolver, f"tcp:host:9000:{box}: got served by 127.0.0.1:9000",
            f"tcp:host:9001:{box}: connect: Connection refused",
            f"tcp:good.test:80:{box}: connect: Connection refused",
            f"udp:{GOOD}:123:{box}: got heard {box}", "name:tls.test: no such name"], (box, lines)
    # The parent keeps its MAC address; each fork has another, and none has that of a template.
    assert addresses[2] == first and lines[27] == first, (addresses, lines)
    assert len({*addresses, "02:00:5e:00:00:02"}) == 4, addresses
    assert all(int(text[:2], 16) & 3 == 2 for text in addresses), addresses
    assert lines[25:27] == ["tcp:host:9000:again: got served by 127.0.0.1:9000"] * 2, lines
    # The listeners saw nothing of refused connections.
    said = result["reached"]
    assert sorted(said["127.0.0.1:9000"]) == ["again", "again", "box", "box-1", "box-2"], said
    assert "127.0.0.1:9001" not in said and f"{GOOD}:80" not in said, said


def test_bad_queues():
    """More queue pairs than processors or than the maximum, or none: one line, and nothing runs."""
    run("true", options=["--net-queues", "2"]).expect_error("--net-queues 2", "give --cpus 2")
    run("true", options=["--cpus", "2", "--net-queues", "9"]).expect_error("--net-queues")
    run("true", options=["--cpus", "2", "--net-queues", "0"]).expect_error("--net-queues")
    run("true", options=["--cpus", "2", "--net-queues", "two"]).expect_error("--net-queues")
    run("true", options=["--cpus", "2", "--net-queues", "2"]).expect(status=0)
