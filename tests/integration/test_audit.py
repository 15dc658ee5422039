# SPDX-License-Identifier: Apache-2.0
"""Signed audit logs: signatures made when a log is closed, and keys that are refused."""
import base64
import os
import shutil
import signal
import struct
import subprocess

import cordon
from cordon import call, limit, run
from sandboxes import execute, sandbox
from test_policy import work, write

# The key of these tests; it protects nothing.
SEED = bytes.fromhex("13d2eb510d75a8c47b56bedf0c77a33894871c249ec998c6b7335360b1dbdce3")
PUBLIC = bytes.fromhex("6120e972179f3f1569055af8917996bc05185ba136506746181b262699098fd9")


def strings(*values):
    return b"".join(struct.pack(">I", len(value)) + value for value in values)


def public_line(public):
    return "ssh-ed25519 " + base64.b64encode(strings(b"ssh-ed25519", public)).decode() + "\n"


def key_file(name, mode=0o600, cipher=b"none"):
    """Write a private key as ssh-keygen does; return its path."""
    section = struct.pack(">II", 7, 7) + strings(b"ssh-ed25519", PUBLIC, SEED + PUBLIC, b"")
    section += bytes(range(1, 1 + -len(section) % 8))
    blob = b"openssh-key-v1\0" + strings(cipher, b"none", b"") + struct.pack(">I", 1)
    blob += strings(strings(b"ssh-ed25519", PUBLIC), section)
    text = base64.encodebytes(blob).decode()
    write(name, f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n")
    os.chmod(work(name), mode)
    return work(name)


def check_with_ssh(log, heads):
    """Verify the signature with OpenSSH's own tool, if it is installed."""
    if not shutil.which("ssh-keygen"):
        return
    signature = [entry for entry in cordon.audit_log(log) if entry.get("event") == "signature"][-1]["signature"]
    write("sig", f"-----BEGIN SSH SIGNATURE-----\n{signature}\n-----END SSH SIGNATURE-----\n")
    write("signers", "box " + public_line(PUBLIC))
    statement = "cordon audit log\n" + heads
    for text, good in ((statement, True), (statement.replace("allowed", "allowes"), False)):
        result = subprocess.run(["ssh-keygen", "-Y", "verify", "-f", work("signers"), "-I", "box", "-n",
                                 "cordon-audit", "-s", work("sig")], input=text.encode(),
                                capture_output=True, check=False)
        assert (result.returncode == 0) == good, result


@limit(600)
def test_audit_logs_are_signed():
    """Closing a log signs it; a changed log, one of a killed monitor, and an open one do not verify as signed."""
    key, log = key_file("key"), work("log")
    write("key.pub", public_line(PUBLIC))
    write("other.pub", public_line(bytes(31) + b"\1"))
    with sandbox("box", "--audit", log, "--sign", key):
        execute("box", "true").expect(0)
        assert not any(entry.get("event") == "close" for entry in cordon.audit_log(log))
        call("audit", "--verify", "--pubkey", work("key.pub"), "box").expect_error("is not signed")
        call("stop", "box").expect(0)
    verified = call("audit", "--verify", "--pubkey", work("key.pub"), log).expect(0, None, b"").stdout.decode()
    assert "are whole and signed by SHA256:tgqv3XKKIXr9zhm3YmXN4uYvi6rJ0yL6ZkiKpj3X6y0" in verified, verified
    head = call("audit", "--head", log).expect(0, None, b"").stdout.decode()
    entries = cordon.audit_log(log)
    assert verified.endswith(head) and head.splitlines()[1] == f"denials {entries[-1]['seq']} {entries[-1]['hash']}", head
    closes = [entry for entry in entries if entry.get("event") == "close"]
    check_with_ssh(log, "".join(f"{name} {line['seq']} {line['hash']}\n"
                                for name, line in zip(("allowed", "denials"), closes)))
    call("audit", "--verify", "--pubkey", work("other.pub"), log).expect_error("not a signature of this log")
    call("audit", "--verify", "--pubkey", key, log).expect_error("not one OpenSSH ed25519 public key")
    call("audit", "--pubkey", work("key.pub"), log).expect_error("--pubkey is for --verify")

    # The same log is continued, and its monitor is killed.
    with sandbox("box", "--audit", log, "--sign", key) as pid:
        os.kill(pid, signal.SIGKILL)
        cordon.wait_until(lambda: not cordon.alive(pid), "the monitor is gone")
    call("audit", "--verify", "--pubkey", work("key.pub"), log).expect_error("the lines after the last signature")
    assert b"are whole; the log is not closed" in call("audit", "--verify", log).expect(0).stdout


def test_audit_keys_are_checked():
    """An invalid key, or one that other users or the guest could read, is refused in one line; nothing runs."""
    log = ("--audit", work("log"))
    run("true", options=[*log, "--sign", work("no")]).expect_error(work("no"), "No such file")
    run("true", options=[*log, "--sign", key_file("open", 0o644)]).expect_error("readable only by you")
    run("true", options=[*log, "--sign", key_file("locked", cipher=b"aes256-ctr")]).expect_error("passphrase")
    write("text", "x")
    os.chmod(work("text"), 0o600)
    run("true", options=[*log, "--sign", work("text")]).expect_error("not an OpenSSH ed25519 private key")
    os.makedirs(work("top"))
    os.rename(key_file("top.key"), work("top/key"))
    os.symlink(work("top/key"), work("link"))
    for name in ("top/key", "link"):
        run("true", options=[*log, "--sign", work(name), "--share", work("top") + ":/w:ro"]) \
            .expect_error("which the guest sees")
    assert not os.path.exists(work("log"))
