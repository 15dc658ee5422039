# SPDX-License-Identifier: Apache-2.0
"""The network: from a guest through the relay, and through the relay alone, with passt and a copy loop beside it.

Servers and clients are in network namespaces that the run makes: no packet leaves them (bench/net/world.c).
"""

from harness.context import find_program
from harness.model import Group, Probe, Row
from suites import figures

PREFIX = "throughput.net."
SERVER = "93.184.216.34"
PORTS = range(5001, 5006)
# Of bench/net/measures.c: title and unit.
MEASURES = {
    "out": ("TCP, guest to server", "MB/s"),
    "in": ("TCP, server to guest", "MB/s"),
    "datagrams": ("datagrams of 64 bytes that arrive", "1/s"),
    "round-trip": ("TCP round trip of 1 byte", "us"),
    "connections": ("TCP connections, one after the other", "1/s"),
}
# What the processor time is for.
EACH = {"out": "MB to the server", "in": "MB from it", "datagrams": "datagram", "round-trip": "round trip",
        "connections": "connection"}


def check_programs(_bench):
    find_program("ip", "iproute2")
    find_program("passt", "passt")


def guest_group(bench):
    rows = [row for name, (title, unit) in MEASURES.items()
            for row in figures.twin(PREFIX + name, title, unit, "from the host")]
    seconds = bench.size(0.5, quick=0.2)
    policy = bench.path("net.policy")

    def prepare(b):
        find_program("ip", "iproute2")
        with open(policy, "w", encoding="ascii") as file:
            file.write("policy 1\n" + "".join(f"net allow tcp {SERVER}:{port}\n" for port in PORTS)
                       + f"net allow udp {SERVER}:{PORTS[-1]}\n")
        figures.template_once(b)

    def sample(b):
        world = b.program("net-world")
        guest = figures.run_in_guest(b, "net-client", [seconds], ("--policy", policy), before=[world])
        _, host, _ = b.run([world, b.program("net-client"), str(seconds)])
        return figures.both(guest, host, PREFIX, rows)

    each = (8 if bench.quick else 15) if bench.emulated else 1.5 + 2 * seconds * len(MEASURES)
    rounds = bench.size(6, quick=2, emulated=1 if bench.quick else 4)
    return Group("throughput", "net", "Network, from a program in the guest", [Probe(rows, sample, rounds, prepare=prepare)],
                 seconds=rounds * each, plot="ratios",
                 note="Through the sandbox's relay, to a server behind a link of the same host.")


# Of bench/net/relay.c: what is between client and server.
MODES = {
    "copy": "a copy loop",
    "relay": "the relay",
    "passt": "passt",
    "linux-relay": "Linux at a tap and the relay",
    "linux-passt": "Linux at a tap and passt",
}
RELAY = "throughput.relay."


def relay_group(bench):
    rows = []
    for name, (title, unit) in MEASURES.items():
        title = title.replace("guest", "client")
        for kind, text, unit_of in (("", title, unit), ("cpu.", f"processor time of a {EACH[name]}", "us")):
            better = "less" if unit_of == "us" else "more"
            # The copy loop has no datagrams.
            modes = [mode for mode in MODES if (mode, name) != ("copy", "datagrams")]
            limit = f"{RELAY}{modes[0]}.{kind}{name}"
            ids = {mode: f"{RELAY}{mode}.{kind}{name}" for mode in modes}
            rows += [Row(ids[mode], f"{text}, {MODES[mode]}", unit_of, better, against="" if ids[mode] == limit else limit)
                     for mode in modes]
        rows += [Row(f"{RELAY}{mode}.passer.{name}", f"processor time of a {EACH[name]}, what passes the frames of {MODES[mode]}", "us")
                 for mode in MODES if mode.startswith("linux-")]
    seconds = bench.size(0.5, quick=0.1)

    def sample(b):
        _, out, _ = b.run([b.program("net-world"), b.program("net-relay"), str(seconds)])
        return figures.parse(out, RELAY, rows)

    rounds = bench.size(6, quick=1)
    memory, memory_seconds = idle_probe(bench)
    return Group("throughput", "relay", "Network without a guest: what the relay costs",
                 [Probe(rows, sample, rounds, prepare=check_programs), memory],
                 seconds=rounds * (6 + 25 * seconds) + memory_seconds,
                 note="Frames come from a program on the host, or from the host's own stack behind a tap device.")


def idle_probe(bench):
    """What idle connections cost, and the seconds that it takes."""
    count = bench.size(10000, quick=1000)
    rows = [Row(f"{RELAY}memory.process", f"memory of the relay's process for {count} idle connections", "KiB"),
            Row(f"{RELAY}memory.kernel", f"memory of the host's kernel for the relay's sockets of {count} idle connections", "KiB")]

    def sample(b):
        _, out, _ = b.run([b.program("net-world"), b.program("net-relay"), "memory", str(count)])
        return figures.parse(out, RELAY, rows)

    rounds = bench.size(3, quick=1)
    return Probe(rows, sample, rounds, prepare=lambda b: find_program("ip", "iproute2")), rounds * (6 + count / 900)


def groups(bench, _options):
    return [guest_group(bench), relay_group(bench)]
