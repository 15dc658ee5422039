# SPDX-License-Identifier: Apache-2.0
"""Clients that people use, the host's own (--rootfs host), in a small Internet with its own resolver, web and
TLS servers: they fetch from permitted names, everything else is refused at once."""
import os
import subprocess
import tempfile
import zipfile

import cordon
import test_network

GOOD, OTHER = test_network.GOOD, test_network.OTHER
RULES = """policy 1
net allow tls  web.test:8443
net allow http web.test:8081
net allow tcp  93.184.216.34/32:8000-8001
"""


def make_site(directory):
    """Make a directory with a page and a package index, and a certificate for web.test beside it."""
    site = os.path.join(directory, "site")
    os.makedirs(os.path.join(site, "simple", "tiny"))
    with open(os.path.join(site, "page"), "w", encoding="utf-8") as file:
        file.write("the page\n")
    certificate = os.path.join(directory, "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "7000", "-keyout", certificate, "-out", certificate + ".pub",
                    "-subj", "/CN=web.test", "-addext", "subjectAltName=DNS:web.test"],
                   check=True, capture_output=True)
    with open(certificate + ".pub", "rb") as public, open(certificate, "ab") as both:
        both.write(public.read())
    wheel = "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(site, "simple", "tiny", wheel), "w") as file:
        file.writestr("tiny.py", "answer = 42\n")
        file.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        file.writestr("tiny-1.0.dist-info/WHEEL",
                      "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("tiny-1.0.dist-info/RECORD", "")
    with open(os.path.join(site, "simple", "tiny", "index.html"), "w", encoding="utf-8") as file:
        file.write(f'<a href="{wheel}">{wheel}</a>\n')
    return site, certificate


def make_repository(directory, site):
    """Make a git repository with one commit, served as plain files."""
    work, git = os.path.join(directory, "work"), {
        **os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
        **{f"GIT_{who}_{what}": "tester@web.test" for who in ("AUTHOR", "COMMITTER")
           for what in ("NAME", "EMAIL")}}
    bare = os.path.join(site, "repo.git")
    os.makedirs(work)
    with open(os.path.join(work, "file"), "w", encoding="utf-8") as file:
        file.write("under git\n")
    for command in (["init", "-q", "-b", "main"], ["add", "file"], ["commit", "-q", "-m", "first"],
                    ["clone", "-q", "--bare", ".", bare]):
        subprocess.run(["git", *command], cwd=work, env=git, check=True)
    subprocess.run(["git", "update-server-info"], cwd=bare, env=git, check=True)


def in_guest(script, git=False):
    """Run a script with the host's programs in a sandbox; the certificate is at /tmp/ca.pem."""
    cordon.need_root()
    cordon.need_program("openssl", "unshare")
    with tempfile.TemporaryDirectory(prefix="cordon-test.") as directory:
        site, certificate = make_site(directory)
        if git:
            make_repository(directory, site)
        result = test_network.world(
            ["sh", "-c", "cat >/tmp/ca.pem; cd /tmp; export HOME=/tmp; " + script], rules=RULES,
            options=["--rootfs", "host"], stdin=certificate + ".pub", web=site,
            certificate=certificate)
        # The log has a line for every file that a program opens: too much to show.
        result["audit"] = [line for line in result["audit"] if line.get("class") == "net"]
        return result


def reached(result, port):
    return result["reached"].get(f"{GOOD}:{port}", [])


def nothing_else(result):
    """Only the permitted ports and the resolver were reached, and only permitted names were resolved."""
    assert set(result["reached"]) <= {f"{GOOD}:{port}" for port in (8000, 8001, 8081, 8443)} | \
        {"127.0.0.53:53"}, result["reached"]
    # The web server looks up its own address.
    assert {name for name in result["asked"] if not name.endswith(".in-addr.arpa")} <= {"web.test"}, result["asked"]


@cordon.limit(2400)
def test_curl():
    """curl over HTTP and HTTPS: a permitted name works; another name, address or port fails at once."""
    cordon.need_whole()
    cordon.need_program("curl")
    urls = ["http://web.test:8081/page", "https://web.test:8443/page", "http://other.test:8081/page",
            f"http://{OTHER}:80/", "https://web.test:8081/page", f"http://{GOOD}:8081/page"]
    result = in_guest("curl -sS --cacert ca.pem -w '%{exitcode} %{url}\\n' " + " ".join(urls))
    # 6: no such name; 7: the connection was refused; 35: the handshake was reset; 56: reset
    codes = dict(reversed(line.split(" ", 1)) for line in result["stdout"].splitlines()
                 if line.endswith(tuple(urls)))
    assert result["stdout"].count("the page\n") == 2, result
    assert [codes[url] for url in urls[:4]] == ["0", "0", "6", "7"], result
    assert codes[urls[4]] in ("35", "56") and codes[urls[5]] in ("7", "56", "52"), result
    nothing_else(result)
    assert reached(result, 8081).count("/page") == reached(result, 8443).count("/page") == 1, result


@cordon.limit(2400)
def test_git():
    """git clone over HTTPS: works from a permitted name, not from another."""
    cordon.need_whole()
    cordon.need_program("git")
    # Unless told not to, git reads the host's certificates one by one: minutes where ring 0 is emulated.
    result = in_guest("mkdir /tmp/none; export GIT_SSL_CAINFO=/tmp/ca.pem GIT_SSL_CAPATH=/tmp/none; "
                      "git clone -q https://web.test:8443/repo.git a; cat a/file; git clone -q https://other.test:8443/repo.git b; echo status $?", git=True)
    assert result["stdout"] == "under git\nstatus 128\n", result
    assert "Could not resolve host: other.test" in result["stderr"], result
    assert any(path.startswith("/repo.git/info/refs") for path in reached(result, 8443)), result
    nothing_else(result)


PIP = """set -- /usr/bin/python3 -m pip --isolated --disable-pip-version-check --no-cache-dir download -q \
    --no-deps --cert /tmp/ca.pem --retries 2
"$@" -d got --index-url https://web.test:8443/simple tiny; ls got
"$@" -d none --index-url https://other.test:8443/simple tiny; echo status $?"""


@cordon.limit(7200)
def test_pip():
    """pip download: works from a permitted index, not from another."""
    cordon.need_whole()
    if subprocess.run(["/usr/bin/python3", "-m", "pip", "--version"], capture_output=True,
                      check=False).returncode != 0:
        raise cordon.Skip("needs pip for /usr/bin/python3 (apt install python3-pip)")
    result = in_guest(PIP)
    assert result["stdout"] == "tiny-1.0-py3-none-any.whl\nstatus 1\n", result
    assert "/simple/tiny/tiny-1.0-py3-none-any.whl" in reached(result, 8443), result
    nothing_else(result)


@cordon.limit(2400)
def test_nmap():
    """nmap finds exactly those ports open that are permitted and have a listener; all others are refused."""
    cordon.need_whole()
    cordon.need_program("nmap")
    result = in_guest("nmap --unprivileged -n -Pn -sT --max-retries 1 -oG - "
                      f"-p 79-81,443,7999-8002,8080-8082,8443 web.test {OTHER}")
    lines = [line for line in result["stdout"].splitlines() if "Ports:" in line]
    open_ports = {line.split()[1]: [port.split("/")[0].strip() for port in
                                    line.split("Ports: ")[1].split("\t")[0].split(",")
                                    if "/open/" in port] for line in lines}
    # 8081 and 8443 by the rules for the name; 8001 is permitted, but has no listener.
    assert open_ports[GOOD] == ["8000", "8081", "8443"], result["stdout"]
    assert open_ports.get(OTHER, []) == [], result["stdout"]
    nothing_else(result)
