#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small Internet in its own network and mount namespaces (run it with unshare -n -m): a resolver, servers, and a
command, usually cordon. The first argument is a JSON object: "argv": [...], the command; "stdin": a path;
"visits": [protocol, address, port, text, source], each sent to a published port after the command's first line;
"web": a directory, served at ports 8081 (HTTP) and 8443 (HTTPS, with "certificate"); "listen": [address, first
port, last port], where connections are accepted; "servers": a directory, for the servers of net_servers.py; "tap":
the name of a tap to make; "nameserver": the address of the resolver in /etc/resolv.conf; "kill relay": true.
Prints {"status", "stdout", "stderr", "reached": {"ADDRESS:PORT": [first bytes]}, "asked": [names that were
resolved], "visited": [replies to the visits]}. No packet leaves, and all of it goes with the process."""
import functools
import http.server
import json
import os
import selectors
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading

import net_servers

GOOD, OTHER, PRIVATE, METADATA = "93.184.216.34", "93.184.216.35", "10.9.9.9", "169.254.169.254"
TCP = [(GOOD, 7), (GOOD, 80), (GOOD, 443), (GOOD, 8000), (OTHER, 443), (OTHER, 80), (PRIVATE, 443),
       (METADATA, 80), ("127.0.0.1", 9000), ("127.0.0.1", 9001)]
UDP = [(GOOD, 123), (OTHER, 123), (OTHER, 53)]
NAMES = {"good.test": [GOOD], "tls.test": [GOOD], "web.test": [GOOD], "cdn.test": [OTHER],
         "rebind.test": [PRIVATE, METADATA, "127.0.0.1"], "mixed.test": [PRIVATE, OTHER]}

reached, asked, lock = {}, [], threading.Lock()


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def make_network():
    ip("link", "set", "lo", "up")
    for address in (GOOD, OTHER, PRIVATE, METADATA):
        ip("addr", "add", f"{address}/32", "dev", "lo")
    # A default route that leads nowhere.
    ip("link", "add", "out0", "type", "veth", "peer", "name", "out1")
    ip("addr", "add", "203.0.113.2/24", "dev", "out0")
    ip("link", "set", "out0", "up")
    ip("link", "set", "out1", "up")
    ip("route", "add", "default", "via", "203.0.113.1")


def make_tap(name):
    """Make a tap as an administrator does for a sandbox; its other end is 10.99.0.2 and fd99::2."""
    ip("tuntap", "add", name, "mode", "tap")
    ip("addr", "add", "10.99.0.1/30", "dev", name)
    if os.path.exists("/proc/net/if_inet6"):
        ip("addr", "add", "fd99::1/64", "dev", name, "nodad")
    ip("link", "set", name, "up")
    serve_tcp("10.99.0.1", 9002)
    serve_tcp("10.99.0.1", 9003)


def note(address, port, data):
    with lock:
        reached.setdefault(f"{address}:{port}", []).append(data.decode("latin-1"))


def serve_connection(connection, address, port):
    """Reply to any data with the address that was reached; port 8000 speaks first instead; port 7 echoes."""
    try:
        connection.settimeout(120)
        if port == 7:
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.close()
            return
        if port == 8000:
            connection.sendall(b"220 first")
        data = connection.recv(4096)
        note(address, port, data)
        if port != 8000:
            connection.sendall(b"served by %s:%d" % (address.encode(), port))
    except OSError:
        note(address, port, b"")
    connection.close()


def serve_tcp(address, port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(64)

    def loop():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve_connection, args=(connection, address, port),
                             daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()


def serve_ports(address, first, last):
    """Listeners that record each connection and close it."""
    chosen = selectors.DefaultSelector()
    for port in range(first, last + 1):
        listener = socket.socket()
        listener.bind((address, port))
        listener.listen(8)
        chosen.register(listener, selectors.EVENT_READ, port)

    def loop():
        while True:
            for key, _ in chosen.select():
                key.fileobj.accept()[0].close()
                note(address, key.data, b"")
    threading.Thread(target=loop, daemon=True).start()


def serve_udp(address, port, answer):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))

    def loop():
        while True:
            data, peer = server.recvfrom(4096)
            note(address, port, data)
            server.sendto(answer(data), peer)
    threading.Thread(target=loop, daemon=True).start()


def resolve(data):
    at, labels = 12, []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    name = ".".join(labels).lower()
    with lock:
        asked.append(name)
    addresses = NAMES.get(name, [])
    head = data[:2] + struct.pack("!HHHHH", 0x8180 if addresses else 0x8183, 1, len(addresses), 0, 0)
    records = b"".join(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04" + socket.inet_aton(a)
                       for a in addresses)
    return head + data[12:at + 5] + records


def kill_relay(run):
    """Kill the sandbox's relay once the command has printed its first line."""
    run.stdout.readline()
    children = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(run.pid)],
                              capture_output=True, text=True, check=True).stdout
    for line in children.splitlines():
        if "cordon-relay" in line:
            os.kill(int(line.split()[0]), signal.SIGKILL)


def visit(protocol, to, port, text, source=None):
    """Send `text` to a published port as its client; return the reply, or the error."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    client = socket.socket(socket.AF_INET, kind)
    client.settimeout(120)
    try:
        if source:
            client.bind((source, 0))
        client.connect((to, port))
        client.sendall(text.encode())
        return client.recv(4096).decode("latin-1")
    except OSError as error:
        return error.strerror or "no answer"
    finally:
        client.close()


class Web(http.server.SimpleHTTPRequestHandler):
    """Serve the files of a directory: a web site, a git repository or a package index."""

    def log_message(self, *_):
        address, port = self.server.server_address
        note(address, port, self.path.encode())


def serve_web(directory, port, certificate=None):
    server = http.server.ThreadingHTTPServer((GOOD, port), functools.partial(Web, directory=directory))
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    task = json.loads(sys.argv[1])
    make_network()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        nameserver = task.get("nameserver", "127.0.0.53")
        conf.write(f"{task.get('search', '')}nameserver {nameserver}\n")
        conf.flush()
        subprocess.run(["mount", "--bind", conf.name, os.path.realpath("/etc/resolv.conf")],
                       check=True)
        if task.get("tap"):
            make_tap(task["tap"])
        for address, port in TCP:
            serve_tcp(address, port)
        for address, port in UDP:
            serve_udp(address, port, lambda data: b"heard " + data)
        serve_udp(nameserver, 53, resolve)
        if task.get("listen"):
            serve_ports(*task["listen"])
        if task.get("servers"):
            net_servers.start(GOOD, task["servers"], note)
        if task.get("web"):
            serve_web(task["web"], 8081)
            serve_web(task["web"], 8443, task["certificate"])
        with open(task.get("stdin", "/dev/null"), "rb") as stdin:
            run = subprocess.Popen(task["argv"], stdin=stdin, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
            if task.get("kill relay"):
                kill_relay(run)
            first = b""
            if task.get("visits"):
                first = run.stdout.readline()
            visited = [visit(*one) for one in task.get("visits", [])]
            stdout, stderr = run.communicate()
            stdout = first + stdout
    with lock:
        print(json.dumps({"status": run.returncode, "stdout": stdout.decode("latin-1"),
                          "stderr": stderr.decode("latin-1"), "reached": reached,
                          "asked": asked, "visited": visited}))


if __name__ == "__main__":
    main()
