# SPDX-License-Identifier: Apache-2.0
"""Connections between programs of the host and of the guest, with --vsock."""
import os
import resource
import socket

import cordon
from initramfs import initrd_with

PORT = 5000


def connect(path):
    """Connect as a client of Firecracker's convention does. None if the guest did not reply in time."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(120)
    client.connect(path)
    client.sendall(b"CONNECT %d\n" % PORT)
    answer = b""
    while not answer.endswith(b"\n"):
        byte = client.recv(1)
        if not byte:
            client.close()
            return None
        answer += byte
    assert answer.startswith(b"OK "), answer
    return client


def read(client, length):
    data = b""
    while len(data) < length:
        part = client.recv(length - len(data))
        assert part, f"ended after {len(data)} of {length} bytes"
        data += part
    return data


@cordon.limit(900)
def test_a_thousand_at_once():
    """A thousand connections at once: each gets back what it sent; when some end, the others go on."""
    # A thousand take a quarter of an hour where ring 0 is emulated, so it is a hundred there.
    count = 1000 if cordon.HARDWARE else cordon.many(100, 1000)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with open(cordon.program("echo"), "rb") as program:
        initrd = initrd_with({"bin/echo-vsock": (0o755, program.read())})
    path = os.path.join(os.environ["CORDON_TEST_BASE"], "work", "vsock")
    process = cordon.start("/bin/echo-vsock", str(PORT), options=["--vsock", path, "--initrd", initrd])
    process.wait_output(b"ready\n", seconds=300)
    clients = []
    while len(clients) < count:
        client = connect(path)
        if client:                          # else the guest was too busy for two seconds
            clients.append(client)
        assert process.poll() is None, repr(process.result())
    for turn in (b"first", b"second"):
        for number, client in enumerate(clients):
            client.sendall(b"%s %d\n" % (turn, number))
        for number, client in enumerate(clients):
            expected = b"%s %d\n" % (turn, number)
            assert read(client, len(expected)) == expected, number
        for client in clients[::10]:
            client.close()
        clients = [client for number, client in enumerate(clients) if number % 10]
    assert process.private < 64 * 1024, f"{process.private} KiB private"
    for client in clients:
        client.close()
    process.feed(b"")
    process.wait().expect(0, b"ready\n", b"")
