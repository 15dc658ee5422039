# SPDX-License-Identifier: Apache-2.0
"""Ports published over vsock, without a network; and ports of copied sandboxes."""
import json
import os
import signal
import socket
import stat
import threading

import pytest

import cordon
from cordon import call, pattern, run, start, wait_until, work
from sandboxes import execute, sandbox

INSTALL = ("sh", "-c", "cat >/tmp/serve; chmod 755 /tmp/serve; exec /tmp/serve \"$@\"", "sh")


def client(where):
    """Connect to a socket's path, or to a port of the host's loopback."""
    kind = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
    made = socket.socket(kind)
    made.settimeout(120 * cordon.TIME_SCALE)
    made.connect(where if isinstance(where, str) else ("127.0.0.1", where))
    return made


def visit(where, text):
    """Send text as a client; return the reply, or nothing if the connection is closed."""
    with client(where) as made:
        try:
            made.sendall(text.encode())
            return made.recv(4096).decode()
        except (BrokenPipeError, ConnectionResetError):
            return ""


def server():
    with open(cordon.program("serve"), "rb") as file:
        return file.read()


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@cordon.limit(600)
def test_sockets():
    """A Unix socket is a TCP port of the guest's loopback, or a vsock port; it is removed with the sandbox."""
    path, direct, unserved = work("web"), work("direct"), work("unserved")
    process = start(*INSTALL, "local:80", "vsock:9000", options=[
        "--publish-vsock", f"{path}:80", "--publish-vsock", f"{direct}:9000/vsock",
        "--publish-vsock", f"{unserved}:81", "--audit", work("audit")], cwd=work(""))
    process.feed(server())
    process.wait_output(b"ready\n", seconds=500)
    for name in (path, direct, unserved):
        mode = os.stat(name).st_mode
        assert stat.S_ISSOCK(mode) and mode & 0o777 == 0o600, oct(mode)
    assert visit(path, "one") == "local:80 from 127.0.0.1 heard one"
    assert visit(direct, "two") == "vsock:9000 from the host heard two"
    assert visit(unserved, "three") == ""
    # Many bytes both ways at once; each direction has its own end of file.
    data = pattern(1 << 16)
    with client(path) as made:
        made.sendall(b"echo")
        assert made.recv(1) == b"!"         # "echo" was received: what follows comes back
        heard = bytearray()

        def hear():
            while part := made.recv(65536):
                heard.extend(part)
        listener = threading.Thread(target=hear)
        listener.start()
        made.sendall(data)
        made.shutdown(socket.SHUT_WR)
        listener.join()
    assert len(heard) == len(data) and bytes(heard) == data, len(heard)
    # Clients that vanish leave nothing that blocks others.
    for _i in range(150):         # more than are served at a time
        client(path).close()
    wait_until(lambda: visit(path, "still") == "local:80 from 127.0.0.1 heard still",
               "a client to be served after all those")
    assert visit(path, "quit") == "local:80 from 127.0.0.1 heard quit"
    process.wait().expect(0, b"ready\n", b"")
    assert not [name for name in (path, direct, unserved) if os.path.exists(name)]
    check_audit(work("audit"), path, direct, unserved, len(data))


def check_audit(log, path, direct, unserved, length):
    """Each connection has a line when it begins, with its client, and one when it ends, with its bytes."""
    lines = cordon.audit_log(log)
    who = f" by uid {os.getuid()}, process {os.getpid()}"
    began = {line["detail"].removesuffix(who): line["object"] for line in lines
             if line.get("event") == "publish-vsock"}
    ends = {line["detail"].split()[0]: line for line in lines if line.get("event") == "flow-end"}
    assert set(began) == set(ends) == {f"connection={n + 1}" for n in range(len(ends))}, lines
    assert all(began[name] == ends[name]["object"] for name in began), lines
    assert list(began.values())[:4] == [f"{path}:80", f"{direct}:9000/vsock", f"{unserved}:81", f"{path}:80"]
    # "one" and its reply; the refused one; "echo" and the bytes, "!" and the bytes back.
    assert f"out={len('local:80 from 127.0.0.1 heard one')} in=3 " in ends["connection=1"]["detail"], lines
    assert " out=0 in=" in ends["connection=3"]["detail"], lines
    assert f"out={length + 1} in={length + 4} " in ends["connection=4"]["detail"], lines


def test_bad_sockets():
    """A socket that can't be published is refused in one line; a dead one is replaced."""
    path = work("socket")

    def refused(why, *values):
        options = [word for value in values for word in ("--publish-vsock", value)]
        call("run", *options, "--", "true").expect_error(why)
    refused("is not SOCKET:PORT", path)
    refused("is not SOCKET:PORT", f"{path}:80/udp")
    refused("is not a whole number from 1 to 65535", f"{path}:0")
    refused("is not a whole number from 1 to 65535", f"{path}:65536")
    refused("the path of the socket is empty", ":80")
    refused("at most 107 bytes", "/" + "x" * 107 + ":80")
    refused("is given twice", f"{path}:80", f"{path}:81")
    refused("more than 16", *(f"{path}{i}:80" for i in range(17)))
    refused("/no/such/directory/socket", "/no/such/directory/socket:80")
    with open(path, "wb"):
        refused("in use (a live socket, or not a socket)", f"{path}:80")
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen()
        refused("in use (a live socket, or not a socket)", f"{path}:80")
    assert os.path.exists(path)
    run("echo", "ok", options=["--publish-vsock", f"{path}:80"]).expect(0, b"ok\n", b"")
    assert not os.path.exists(path)


@cordon.limit(600)
def test_socket_after_kill():
    """The socket goes with a sandbox that a signal ends; after kill -9 the next sandbox replaces it."""
    path = work("socket")
    for number, left in ((signal.SIGTERM, False), (signal.SIGKILL, True)):
        process = start("sh", "-c", "echo up; sleep 1000", options=["--publish-vsock", f"{path}:80"])
        process.wait_output(b"up\n", seconds=250)
        process.signal(number)
        process.wait()
        assert os.path.exists(path) == left, number
    run("echo", "ok", options=["--publish-vsock", f"{path}:80"]).expect(0, b"ok\n", b"")
    assert not os.path.exists(path)
    cordon.call("ps").expect(0)             # removes what the killed one left


@cordon.limit(600)
def test_ports_of_copies():
    """Published ports belong to a run: a fork has none, a restored sandbox those given to restore."""
    first, second, port, again = work("first"), work("second"), free_port(), free_port()
    snap = work("snap")
    with sandbox("box", "--publish-vsock", f"{first}:80", "--publish", f"{port}:80"):
        execute("box", "sh", "-c", "cat >/tmp/serve; chmod 755 /tmp/serve; /tmp/serve tcp:80 >/tmp/said &"
                " while ! grep -q ready /tmp/said; do sleep 0.1; done", stdin=server()).expect(0)
        assert visit(first, "one") == "tcp:80 from 127.0.0.1 heard one"
        assert visit(port, "two") == "tcp:80 from 192.0.2.4 heard two"
        call("fork", "box", "1").expect(0)
        try:
            assert visit(first, "three") == "tcp:80 from 127.0.0.1 heard three"
            execute("box-1", "cat", "/tmp/said").expect(0, b"ready\n")
        finally:
            call("kill", "box-1")
        call("snapshot", "box", snap).expect(0)
        call("restore", "--publish", f"{port}:80", snap, "copy").expect_error("is in use")
        call("restore", "--publish-vsock", f"{first}:80", snap, "copy").expect_error("in use")
        # The guest's server is there before the port is: the first client is served.
        call("restore", "--publish", f"{again}:80", "--publish-vsock", f"{second}:80", snap,
             "copy").expect(0)
        try:
            assert visit(again, "four") == "tcp:80 from 192.0.2.4 heard four"
            assert visit(second, "five") == "tcp:80 from 127.0.0.1 heard five"
            assert visit(first, "six") == "tcp:80 from 127.0.0.1 heard six"
        finally:
            call("kill", "copy")
        assert not os.path.exists(second)
    wait_until(lambda: not os.path.exists(first), "the socket to go with its sandbox")


@cordon.limit(600)
def test_ports_of_a_running_sandbox():
    """Ports are published and taken back while a sandbox runs; others stay."""
    first, second = free_port(), free_port()
    with sandbox("box", "--publish", f"{first}:80"):
        execute("box", "sh", "-c", "cat >/tmp/serve; chmod 755 /tmp/serve; /tmp/serve tcp:80 >/tmp/said &"
                " while ! grep -q ready /tmp/said; do sleep 0.1; done", stdin=server()).expect(0)
        call("publish", "box", f"{second}:80").expect(0)
        assert visit(first, "one") == "tcp:80 from 192.0.2.4 heard one"
        assert visit(second, "two") == "tcp:80 from 192.0.2.4 heard two"
        call("publish", "box", f"{second}:81").expect_error("published already")
        shown = call("ports", "--json", "box")
        assert sorted(port["host_port"] for port in json.loads(shown.stdout)) == sorted([first, second]), shown
        call("unpublish", "box", str(second)).expect(0)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", second))
        call("unpublish", "box", str(second)).expect_error(str(second))
        assert visit(first, "three") == "tcp:80 from 192.0.2.4 heard three"
