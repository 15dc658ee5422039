# SPDX-License-Identifier: Apache-2.0
"""Common code of the tests of named sandboxes: start one, run commands in it, talk to its control socket."""
import contextlib
import json
import os
import socket
import time

import cordon
from cordon import Process, call


PROTOCOL = 2


def registry(name="", file=""):
    return os.path.join(os.environ["XDG_RUNTIME_DIR"], "cordon", name, file)


def ps():
    return {item["name"]: item for item in json.loads(call("ps", "--json").expect(0).stdout)}


@contextlib.contextmanager
def sandbox(name="box", *options):
    """Start a sandbox; yield its monitor's process id. The sandbox is killed afterwards if it still runs."""
    call("start", *options, name).expect(0, b"", b"")
    try:
        yield ps()[name]["pid"]
    finally:
        call("kill", name)


def execute(name, *command, options=(), **keywords):
    return call("exec", *options, name, "--", *command, **keywords)


def executing(name, *command, options=(), **keywords):
    return Process("exec", *options, name, "--", *command, **keywords)


def real_time(name):
    """A guest's real time, in whole seconds, and the host's before and after."""
    before = time.time()
    seen = int(execute(name, "date", "+%s").expect(0).stdout)
    return seen, before, time.time()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def descriptors_at_rest(pid):
    """Count a monitor's descriptors after it has closed the last client too, which may have gone just before."""
    counts = []
    for _i in range(20):
        counts.append(descriptors(pid))
        time.sleep(0.05)
    return min(counts)


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def connect(name="box", patience=60):
    """A raw connection, after the greeting."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.settimeout(patience * cordon.TIME_SCALE)
    client.connect(registry(name, "control.sock"))
    greeting = json.loads(client.recv(1 << 17))
    assert greeting["protocol"] == PROTOCOL and greeting["sandbox"] == name, greeting
    return client


def ask(client, **request):
    client.send(json.dumps(request).encode())
    return json.loads(client.recv(1 << 18))
