# SPDX-License-Identifier: Apache-2.0
"""The control socket: bad messages, many clients, slow clients, other users."""
import json
import os
import socket

import cordon
from cordon import call, wait_until
from sandboxes import ask, connect, descriptors, descriptors_at_rest, execute, ps, registry, sandbox


def test_bad_messages():
    with sandbox() as pid:
        client = connect()
        before = descriptors_at_rest(pid)
        for bad in (b"x", b"{", b"[]", b"null", b"{}", b'{"op":5}', b'{"op":"none","id":3}',
                    b'{"op":"exec"}', b'{"op":"exec","argv":[]}', b'{"op":"exec","argv":["a",1]}',
                    b'{"op":"exec","argv":["true"]}', b'{"op":"snapshot"}',
                    b'{"op":"snapshot","path":"relative"}', b'{"op":"logs","job":-1}x',
                    b'{"op":"logs","job":12345}', b"[" * 100000, b" " * (128 << 10) + b"{}",
                    b'{"op":"exec","argv":["true"],"detach":true,"timeout_ms":9223372036854775807}'):
            client.send(bad)
            answer = json.loads(client.recv(1 << 18))
            assert answer["ok"] is False and answer["error"], (bad[:50], answer)
        # Messages that have no reply; then requests with unwanted descriptors.
        for quiet in (b'{"op":"signal","exec":1,"signal":9}', b'{"op":"resize","exec":1}'):
            client.send(quiet)
        for count in (1, 3, 4, 100):
            fds = [0] * count
            socket.send_fds(client, [b'{"op":"info","id":1}'], fds)
            answer = json.loads(client.recv(1 << 18))
            assert answer["ok"] is (count <= 3), answer
        assert ask(client, op="info", id=8)["id"] == 8
        assert descriptors(pid) == before, "descriptors of refused messages stay open"
        client.close()
        execute("box", "true").expect(0)


def test_many_connections():
    """Ten thousand connections one after another, then as many at once as the monitor admits."""
    with sandbox() as pid:
        call("stats", "box").expect(0)
        before = descriptors_at_rest(pid)
        for number in range(10000):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.connect(registry("box", "control.sock"))
            if number % 100 == 0:
                client.recv(1 << 16)
                assert ask(client, op="info", id=number)["id"] == number
            client.close()
        wait_until(lambda: descriptors(pid) == before, "all connections to be closed")
        clients, refused = [], None
        while not refused and len(clients) < 2000:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.settimeout(60)
            client.connect(registry("box", "control.sock"))
            refused = json.loads(client.recv(1 << 16)).get("error")
            clients.append(client)
        assert refused and len(clients) > 200, (refused, len(clients))
        execute("box", "true").expect_error("too many")
        for client in clients:
            client.close()
        wait_until(lambda: descriptors(pid) == before, "all connections to be closed")
        execute("box", "true").expect(0)


def test_a_client_that_never_reads_is_dropped():
    with sandbox() as pid:
        client = connect()
        client.setblocking(False)
        sent = 0
        try:
            while sent < 100000:
                client.send(b'{"op":"info","id":1}')
                sent += 1
        except OSError:
            pass
        assert sent < 100000, "an endless queue"
        execute("box", "echo", "fine").expect(0, b"fine\n")
        client.close()
        wait_until(lambda: descriptors(pid) < 100, "it to go")


def test_a_client_that_vanishes():
    """A client that vanishes during a pause, a snapshot or a command leaves the sandbox in order."""
    with sandbox():
        snapshot = os.open("snap", os.O_RDWR | os.O_CREAT, 0o600)
        for request, fds in (({"op": "pause"}, []), ({"op": "resume"}, []), ({"op": "snapshot"}, [snapshot]),
                             ({"op": "exec", "argv": ["sleep", "1000"], "detach": False}, [0, 1, 2])):
            client = connect()
            socket.send_fds(client, [json.dumps(request).encode()], fds)
            client.close()
            if request["op"] == "pause":            # the pause completes all the same; until then resume is refused
                wait_until(lambda: ps()["box"]["state"] == "paused", "the pause")
        wait_until(lambda: ps()["box"]["jobs"] == [], "the command's end")
        wait_until(lambda: ps()["box"]["state"] == "running", "the guest to go on")
        execute("box", "echo", "fine").expect(0, b"fine\n")


def test_a_snapshot_is_written_to_a_descriptor():
    """The monitor opens no file: it writes to the client's, which must be an empty one."""
    with sandbox() as pid:
        client = connect()
        before = descriptors_at_rest(pid)
        with open("full", "wb") as file:
            file.write(b"x")
        for path, flags in (("empty", os.O_RDONLY), ("empty", os.O_WRONLY), ("empty", os.O_RDWR | os.O_APPEND),
                            ("empty", os.O_PATH), ("full", os.O_RDWR), (".", os.O_RDONLY), ("/dev/null", os.O_RDWR)):
            fd = os.open(path, flags | (os.O_CREAT if path == "empty" else 0), 0o600)
            socket.send_fds(client, [b'{"op":"snapshot","id":1}'], [fd])
            os.close(fd)
            answer = json.loads(client.recv(1 << 18))
            assert answer["ok"] is False and "empty file" in answer["error"], (path, flags, answer)
        assert os.path.getsize("empty") == 0 and os.path.getsize("full") == 1
        assert descriptors(pid) == before, "descriptors of refused messages stay open"
        fd = os.open("empty", os.O_RDWR)
        socket.send_fds(client, [b'{"op":"snapshot","id":2}'], [fd])
        os.close(fd)
        answer = json.loads(client.recv(1 << 18))
        assert answer["ok"] is True, answer
        assert descriptors(pid) == before, "the file stays open"
        client.close()
    call("restore", "--verify", "empty", "again").expect(0)
    call("kill", "again").expect(0)


def test_a_foreign_user():
    """Even with directory and socket open to all users, another user's connection is closed."""
    cordon.need_root()
    with sandbox():
        for path in (registry("box", "control.sock"), registry("box"), registry(),
                     os.environ["XDG_RUNTIME_DIR"]):
            os.chmod(path, 0o777)
        try:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    os.setgroups([])
                    os.setgid(65534)
                    os.setuid(65534)
                    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                    client.settimeout(60)
                    client.connect(registry("box", "control.sock"))
                    status = 0 if client.recv(1 << 16) == b"" else 2
                except ConnectionResetError:
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        finally:
            os.chmod(registry(), 0o700)
        connect().close()                   # its own user still gets in
        execute("box", "true").expect(0)
