# SPDX-License-Identifier: Apache-2.0
"""Programs that people use, and Linux's own TCP, through the network relay: what a rule allows works, its refused twin
does not. Programs come from an image, because each operation of a share takes long where ring 0 is emulated."""
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile

import cordon
import net_servers as at
from cordon import many, work
from images import host_image
from test_network import GOOD, OTHER, world

GIT = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
PYTHON = "/usr/bin/python3"
MODULES = os.path.join("/usr/lib", os.path.basename(os.path.realpath(PYTHON)))
SHELL = ("/bin/sh", "/usr/bin/cat")


def image(*programs, trees=(), copies=()):
    for path in (*programs, *trees, *dict(copies).values()):
        if not os.path.exists(path):
            raise cordon.Skip(f"needs {path}")
    return host_image((*SHELL, *programs), trees, dict(copies))


def site(name, data):
    path = work(f"servers/site/{name}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def do(script, rules, *options, **task):
    """Run a script in a sandbox in the small Internet, with net_servers.py's servers. Returns its result and lines."""
    os.makedirs(work("servers/site"), exist_ok=True)
    rules = "policy 1\n" + "".join(f"net allow {rule}\n" for rule in rules)
    result = world(["sh", "-c", script], rules, options, servers=work("servers"), **task)
    return result, result["stdout"].splitlines()


def requests(result, port=at.WEB):
    return [text for text in result["reached"].get(f"{GOOD}:{port}", []) if text]


def refused(result):
    """What the log says was refused: (protocol, address, port) of connections, requests and pings, which have no port."""
    return [(line["protocol"], line["address"], line.get("port")) for line in result["audit"]
            if line.get("verdict") == "deny" and line["op"] == "connect"]


@cordon.limit(900)
def test_curl():
    """curl: a rule about a path holds for each request of a connection that is kept open."""
    for name in ("open/one", "open/two", "closed"):
        site(name, name.encode() + b"\n")
    url = f"http://web.test:{at.WEB}"
    script = (f"set -- -sS -w '%{{http_code}}:%{{num_connects}}\\n'; curl $* {url}/open/one {url}/open/two {url}/closed; "
              f"echo $?; curl $* -T /bin/sh {url}/open/up; echo $?")
    result, lines = do(script, [f"http GET web.test:{at.WEB}/open/**"], "--rootfs", image("/usr/bin/curl"))
    # The second request needs no connection of its own. Curl tries the third again on a new one, and gives up.
    assert lines[:4] == ["open/one", "200:1", "open/two", "200:0"], result
    assert lines[4].startswith("000:") and lines[5] == "56", result
    assert lines[6].startswith("000:") and lines[7] in ("55", "56"), result
    assert requests(result) == ["GET /open/one", "GET /open/two"], result
    assert refused(result) == [("http", GOOD, at.WEB)] * 3, result


@cordon.limit(1800)
def test_git():
    """git over HTTP: a clone and a push; a push to a repository of which only reading is allowed is refused."""
    cordon.need_whole()
    script = ("for name in open closed; do git init -q --bare -b main $1/$name.git; git -C $1/$name.git config http.receivepack true; "
              "done; git init -q -b main $2; cd $2; echo one >file; git add file; git commit -qm one; "
              "git push -q $1/closed.git main")
    subprocess.run(["sh", "-ec", script, "sh", work("servers/site/git"), work("made")], check=True, capture_output=True,
                   env={**os.environ, **GIT})
    rules = [f"http GET,POST web.test:{at.WEB}/git/open.git/**", f"http GET web.test:{at.WEB}/git/closed.git/info/refs",
             f"http POST web.test:{at.WEB}/git/closed.git/git-upload-pack"]
    script = (f"export HOME=/tmp; cd /tmp; u=http://web.test:{at.WEB}/git; git clone -q $u/closed.git; cd closed; cat file; "
              "git push -q origin main:more; echo $?; git push -q $u/open.git main:more; echo $?")
    root = image("/usr/bin/git", "/usr/lib/git-core/git-remote-http")
    result, lines = do(script, rules, "--rootfs", root, "-m", "256M")
    assert lines == ["one", "1", "0"], result
    for name, branch in (("open", "more"), ("closed", "main")):
        shown = subprocess.run(["git", "-C", work(f"servers/site/git/{name}.git"), "log", "--all", "--format=%s %D"],
                               check=True, capture_output=True, text=True)
        assert shown.stdout.split()[-1] == branch and "one" in shown.stdout, (shown, result)
    assert ("http", GOOD, at.WEB) in refused(result), result


def wheel(name, files=()):
    """A wheel with one module, a command of its name and files (path: text), in the index of the site."""
    file = f"{name}-1.0-py3-none-any.whl"
    site(f"simple/{name}/index.html", f"<a href='{file}'>{file}</a>".encode())
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(work(f"servers/site/simple/{name}/{file}"), "w") as out:
        for path, text in dict(files).items():
            out.writestr(path, text)
        out.writestr(f"{name}.py", f"def main():\n    pass\n\n\nprint('{name} works')\n")
        out.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {name}:main\n")
        out.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        out.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        out.writestr(f"{info}/RECORD", "")


@cordon.limit(1800)
def test_pip():
    """pip installs a wheel of an index; one that no rule allows is refused."""
    cordon.need_whole()
    wheels = glob.glob("/usr/share/python-wheels/pip-*.whl")
    if not wheels:
        raise cordon.Skip("needs python3-pip-whl")
    wheel("tiny")
    wheel("other")
    install = (f"python3 /pip.whl/pip install -q --disable-pip-version-check --no-cache-dir --no-compile --retries 0 "
               f"-i http://web.test:{at.WEB}/simple/ --trusted-host web.test -t /tmp/got")
    script = f"cd /tmp; {install} other; echo $?; {install} tiny; echo $?; cd got && python3 -m tiny"
    result, lines = do(script, [f"http GET web.test:{at.WEB}/simple/tiny/**"], "--rootfs",
                       image(PYTHON, trees=(MODULES,), copies={"/pip.whl": wheels[0]}), "-m", "512M")
    assert lines == ["1", "0", "tiny works"], result
    assert requests(result) == ["GET /simple/tiny/", "GET /simple/tiny/tiny-1.0-py3-none-any.whl"], result
    assert refused(result) == [("http", GOOD, at.WEB)], result


@cordon.limit(1800)
def test_npm():
    """npm installs a package and what it depends on; one of them without a rule is refused."""
    cordon.need_whole()
    install = (f"npm install --registry http://web.test:{at.NPM}/ --no-audit --no-fund --no-update-notifier "
               "--ignore-scripts --fetch-retries 0")
    script = (f"export HOME=/tmp; mkdir /tmp/a; cd /tmp/a; {install} p1 >&2; echo $?; ls node_modules; "
              f"{install} p0 >&2 || echo refused")
    result, lines = do(script, [f"http GET web.test:{at.NPM}/p1", f"http GET web.test:{at.NPM}/p1.tgz"], "--rootfs",
                       image("/usr/bin/node", "/usr/bin/npm", "/usr/bin/env", "/usr/bin/mkdir", "/usr/bin/ls",
                             trees=("/usr/lib/node_modules/npm",)), "-m", "1G")
    assert lines == ["0", "p1", "refused"], result
    assert requests(result, at.NPM) == ["/p1", "/p1.tgz"], result


@cordon.limit(900)
def test_ssh():
    """ssh, whose server speaks first: a command and a copied file; another address without a rule is refused."""
    cordon.need_program("dropbear", "dropbearkey", "ssh-keygen")
    os.makedirs(work("servers/ssh"))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", work("key")], check=True)
    shutil.copy(work("key.pub"), work("servers/ssh/authorized_keys"))
    options = "-F none -i /etc/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    script = (f"set -- {options}; ssh $* root@web.test 'read a; echo $a $((6 * 7))' </etc/passwd; echo $?; "
              f"scp -O -q $* /bin/sh root@web.test:{work('copied')}; echo $?; ssh $* root@{OTHER} true; echo $?")
    result, lines = do(script, ["tcp web.test:22"], "--rootfs",
                       image("/usr/bin/ssh", "/usr/bin/scp", copies={"/etc/passwd": "/etc/passwd", "/etc/key": work("key")}))
    with open("/etc/passwd", encoding="utf-8") as file:
        assert lines == [f"{file.readline().rstrip()} 42", "0", "0", "255"], result
    with open("/bin/sh", "rb") as one, open(work("copied"), "rb") as two:
        assert one.read() == two.read(), result
    assert "Connection refused" in result["stderr"] and refused(result) == [("tcp", OTHER, 22)], result


@cordon.limit(1800)
def test_nmap():
    """nmap finds open exactly what the policy and the servers have open; the log has each port that is refused."""
    cordon.need_whole()
    rules = [f"tcp {GOOD}/32:1000-1010", f"udp {GOOD}/32:123"]
    script = (f"nmap -n -Pn -sT -p 990-1030 -oG - {GOOD}; nmap -n -Pn -sU -p 123,124 --max-retries 1 -oG - {GOOD}; "
              f"nmap -n -sn -oG - {GOOD}")
    root = image("/usr/bin/nmap", trees=("/usr/share/nmap",), copies={"/etc/services": "/etc/services"})
    result, lines = do(script, rules, "--rootfs", root, "-m", "512M", listen=[GOOD, 1005, 1020])
    found = [re.findall(r"(\d+)/([a-z|]+)/", line) for line in lines if "Ports:" in line]
    assert [port for port, state in found[0] if state == "open"] == [str(port) for port in range(1005, 1011)], result
    assert found[1] == [("123", "open"), ("124", "filtered")], result
    # An address is "up" whatever the policy says: what is refused gets a reset from it.
    assert sum("Status: Up" in line for line in lines) >= 1, result
    said = {(protocol, port) for protocol, _, port in refused(result)}
    assert {port for protocol, port in said if protocol == "tcp" and 990 <= port <= 1030} == \
        {*range(990, 1000), *range(1011, 1031)}, result
    assert ("udp", 124) in said and ("udp", 123) not in said, result
    assert set(result["reached"][f"{GOOD}:123"]) and f"{GOOD}:124" not in result["reached"], result


@cordon.limit(1800)
def test_iperf3():
    """iperf3 both ways; a port that no rule allows is refused."""
    cordon.need_whole()
    cordon.need_program("iperf3")
    os.makedirs(work("servers/iperf3"))
    size = many(4 << 20, 64 << 20)
    iperf3 = f"iperf3 -J -n {size} -p {at.IPERF3} -c"
    root = image("/usr/bin/iperf3")
    result, _ = do(f"{iperf3} web.test; echo; {iperf3} web.test -R; echo; {iperf3} {OTHER}", [f"tcp web.test:{at.IPERF3}"],
                   "--rootfs", root, "-m", "256M")
    up, down, other = (json.loads(text) for text in result["stdout"].split("\n\n"))
    for report in (up, down):
        assert report["end"]["sum_sent"]["bytes"] >= size and report["end"]["sum_received"]["bytes"] > 0, report
    assert "Connection refused" in other["error"], other
    assert refused(result) == [("tcp", OTHER, at.IPERF3)], result


# --- streams ----------------------------------------------------------------------------------------

@cordon.limit(900)
def test_half_close():
    """nc -N: a server that replies only after the client's FIN, and three times, is heard to its end."""
    length = 200000
    script = (f"nc -N web.test {at.LATE} </data >/tmp/got; echo $?; head -n 1 /tmp/got; tail -n +2 /tmp/got | sha256sum; "
              f"nc -N {OTHER} {at.LATE} </data; echo $?")
    data = b"".join(at.pattern(length))
    with open(work("data"), "wb") as file:
        file.write(data)
    result, lines = do(script, [f"tcp web.test:{at.LATE}"], "--rootfs",
                       image("/bin/nc.openbsd", "/usr/bin/head", "/usr/bin/tail", "/usr/bin/sha256sum",
                             copies={"/data": work("data"), "/bin/nc": "/bin/nc.openbsd"}))
    whole = hashlib.sha256(data + b"end\n").hexdigest()
    assert lines == ["0", at.summary([data]).decode().rstrip(), f"{whole}  -", "1"], result
    assert refused(result) == [("tcp", OTHER, at.LATE)], result
    [end] = [line for line in result["audit"] if line.get("event") == "flow-end"]
    assert f"out={length} " in end["detail"] and "end=closed" in end["detail"], end


def streams(script, *options):
    """Run a script with programs/streams.c as /tmp/s, with rules about an address: what opens a name's addresses to a
    program that goes on connecting ends a while after its query, which a slow host reaches."""
    return do("cat >/tmp/s; chmod 755 /tmp/s; " + script, [f"tcp {GOOD}/32:{at.LATE}-{at.CROWD}"], *options,
              stdin=cordon.program("streams"))


def summary(size):
    return at.summary(at.pattern(size)).decode().rstrip()


@cordon.limit(900)
def test_crowd():
    """A thousand connections at once, which the server answers when all are there; then the card is as before."""
    count = many(200, 1000) if not cordon.HARDWARE else 1000
    result, lines = streams(f"/tmp/s crowd {GOOD} {at.CROWD} {count}; /tmp/s up {GOOD} {at.SINK} 9", "-m", "256M")
    assert lines == [f"{count} of {count}", summary(9)], result
    assert f"{count} at once" in result["reached"][f"{GOOD}:{at.CROWD}"], result


@cordon.limit(3600)
def test_bulk():
    """A download and an upload with the same SHA-256 at both ends."""
    size = many(4 << 20, 1 << 30 if cordon.IN_LAB or cordon.HARDWARE else 64 << 20)
    result, lines = streams(f"/tmp/s down {GOOD} {at.SOURCE} {size}; /tmp/s up {GOOD} {at.SINK} {size}")
    assert lines == [f"{summary(size).split()[0]}  -", summary(size)], result


@cordon.limit(1800)
def test_slow_servers():
    """A server that never reads until it is told to, one that sends a byte a second, and one that is silent at first."""
    with open("/proc/sys/net/ipv4/tcp_wmem", encoding="ascii") as file:
        size, seconds = int(file.read().split()[2]) + (1 << 20), many(5, 60)    # more than the host and the relay take
    result, lines = streams(f"/tmp/s say {GOOD} {at.SLOW} {seconds}; echo; /tmp/s say {GOOD} {at.SILENT} {seconds}; "
                            f"/tmp/s stuck {GOOD} {at.STUCK} {size} {at.GO}")
    assert lines == [("0123456789" * 6)[:seconds], "awake", "blocked", summary(size)], result
