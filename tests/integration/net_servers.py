# SPDX-License-Identifier: Apache-2.0
"""Servers for programs in a guest, in the small Internet of net_world.py: HTTP/1.1 with git and a registry of npm
packages, ssh, and TCP servers that read or write in some particular way. All listen at one address; each function
returns at once and serves in threads that end with the process."""
import functools
import hashlib
import http.server
import os
import pwd
import selectors
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "bench", "suites"))
import registry  # noqa: E402  (found by the path above)

WEB, NPM, SSH, LATE, SOURCE, SINK, STUCK, GO, SLOW, SILENT, CROWD, IPERF3 = 8082, 8083, 22, *range(9010, 9019)
BLOCK = bytes((i * i * 31 + i + (i >> 8) * 7) & 0xFF for i in range(65521))        # programs/streams.c has the same


def pattern(size):
    """`size` bytes of BLOCK, over and over, in parts."""
    while size > 0:
        yield BLOCK[:size]
        size -= len(BLOCK)


def summary(parts):
    """A line with the SHA-256 of parts of bytes and their length in all."""
    total, length = hashlib.sha256(), 0
    for part in parts:
        total.update(part)
        length += len(part)
    return f"{total.hexdigest()} {length}\n".encode()


# --- HTTP -----------------------------------------------------------------------------------------

class Site(http.server.SimpleHTTPRequestHandler):
    """Files of a directory, connections kept open; below /git/, its git repositories by git's own server."""
    protocol_version = "HTTP/1.1"

    def __init__(self, *args, heard, directory):
        self.heard = heard
        super().__init__(*args, directory=directory)

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.heard(f"GET {self.path}".encode())
        if self.path.startswith("/git/"):
            self.git(b"")
        else:
            super().do_GET()

    def do_POST(self):
        self.heard(f"POST {self.path}".encode())
        self.git(self.rfile.read(int(self.headers["Content-Length"])))

    def do_PUT(self):
        """An upload: its SHA-256 and length."""
        self.heard(f"PUT {self.path}".encode())
        left = int(self.headers["Content-Length"])
        reply = summary(self.rfile.read(min(65536, left - at)) for at in range(0, left, 65536))
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def git(self, body):
        path, _, query = self.path.partition("?")
        environment = {**os.environ, "GIT_PROJECT_ROOT": self.directory, "GIT_HTTP_EXPORT_ALL": "1",
                       "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                       "REMOTE_USER": "guest", "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                       "CONTENT_LENGTH": str(len(body)), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", "")}
        done = subprocess.run(["git", "-c", "safe.directory=*", "http-backend"], input=body, capture_output=True,
                              env=environment, check=False)
        head, _, text = done.stdout.partition(b"\r\n\r\n")
        fields = [line.decode().split(": ", 1) for line in head.split(b"\r\n")]
        self.send_response(int(dict(fields).get("Status", "200").split()[0]))
        for name, value in fields:
            if name not in ("Status", "Content-Length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def serve_site(address, directory, note):
    heard = functools.partial(note, address, WEB)
    server = http.server.ThreadingHTTPServer((address, WEB), functools.partial(Site, heard=heard, directory=directory))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()


# --- TCP ------------------------------------------------------------------------------------------

def listen(address, port, buffer=None):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    listener.bind((address, port))
    listener.listen(1024)
    return listener


def serve(address, port, converse, note, buffer=None):
    """Hold a conversation with each client in a thread of its own."""
    listener = listen(address, port, buffer)

    def hold(client):
        with client:
            try:
                converse(client)
            except (OSError, ValueError) as error:
                note(address, port, f"failed: {error}".encode())

    def loop():
        while True:
            client, _ = listener.accept()
            note(address, port, b"")
            threading.Thread(target=hold, args=(client,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()


def read(client):
    """All that comes until the client's FIN, in parts."""
    while data := client.recv(1 << 18):
        yield data


def number(client):
    """A line with a number; clients send nothing after it until they have a reply."""
    line = b""
    while not line.endswith(b"\n"):
        byte = client.recv(1)
        if not byte:
            raise ValueError("no line")
        line += byte
    return int(line)


def late(client):
    """Replies only after the client's FIN: with the length and SHA-256 of what came, and later with all of it."""
    parts = list(read(client))
    client.sendall(summary(parts))
    time.sleep(0.5)
    for part in parts:
        client.sendall(part)
    time.sleep(0.5)
    client.sendall(b"end\n")


def source(client):
    for part in pattern(number(client)):
        client.sendall(part)


def sink(client):
    client.sendall(summary(read(client)))


def slow(client):
    """One byte a second."""
    for at in range(number(client)):
        client.sendall(b"%d" % (at % 10))
        time.sleep(1)


def silent(client):
    """Nothing for some seconds, then a reply."""
    time.sleep(number(client))
    client.sendall(b"awake\n")


def serve_crowd(address, note):
    """Clients send 8 bytes and their number as a line, and get it back once as many as that are there at a time."""
    listener = listen(address, CROWD)

    def loop():
        waiting, chosen = {}, selectors.DefaultSelector()
        chosen.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in chosen.select():
                if key.fileobj is listener:
                    client, _ = listener.accept()
                    chosen.register(client, selectors.EVENT_READ)
                    continue
                line = key.fileobj.recv(64)
                chosen.unregister(key.fileobj)
                waiting[key.fileobj] = line
                if line.endswith(b"\n") and len(waiting) >= int(line[8:]):
                    note(address, CROWD, b"%d at once" % len(waiting))
                    for client, text in waiting.items():
                        client.sendall(text)
                        client.close()
                    waiting = {}
    threading.Thread(target=loop, daemon=True).start()


# --- ssh ------------------------------------------------------------------------------------------

def serve_ssh(address, directory, note):
    """A dropbear for each client, as root by key only. Its /root is empty but for DIRECTORY/authorized_keys."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    key = os.path.join(directory, "host-key")
    script = (f"mount -t tmpfs ssh {home} && mkdir -m 700 {home}/.ssh && cp $1/authorized_keys {home}/.ssh && "
              f"chmod 700 {home} && exec dropbear -i -s -r $1/host-key")
    subprocess.run(["dropbearkey", "-t", "ed25519", "-f", key], check=True, capture_output=True)

    def converse(client):
        subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", directory], stdin=client, stdout=client,
                       stderr=subprocess.DEVNULL, check=False)
    serve(address, SSH, converse, note)


def start(address, directory, note):
    """All servers. DIRECTORY has site/ (files) and site/git/ (repositories); that of ssh needs ssh/authorized_keys there,
    that of iperf3 a directory of its name."""
    serve_site(address, os.path.join(directory, "site"), note)
    registry.Registry(3, address=(address, NPM), heard=lambda path: note(address, NPM, path.encode()))
    if os.path.exists(os.path.join(directory, "ssh")):
        serve_ssh(address, os.path.join(directory, "ssh"), note)
    if os.path.exists(os.path.join(directory, "iperf3")):
        subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "iperf3", "-s", "-B", address, "-p", str(IPERF3)],
                         stdout=subprocess.DEVNULL)
    for port, converse in ((LATE, late), (SOURCE, source), (SINK, sink), (SLOW, slow), (SILENT, silent)):
        serve(address, port, converse, note)
    serve_crowd(address, note)
    go = threading.Event()

    def stuck(client):
        go.wait()
        sink(client)
    serve(address, STUCK, stuck, note, buffer=4096)
    serve(address, GO, lambda _: go.set(), note)
