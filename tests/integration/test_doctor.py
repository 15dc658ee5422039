# SPDX-License-Identifier: Apache-2.0
"""cordon doctor: each check, on this host as it is and with parts of it taken away."""
import json
import os
import re

import cordon
from cordon import as_nobody, call, in_namespace, need_root

NAMES = ["/dev/kvm", "permission", "KVM API", "capabilities", "kind of host", "KVM_CREATE_VM", "memory",
         "names", "pings", "IPv6", "/dev/net/tun", "monitor", "relay", "cores", "guest kernel", "initramfs",
         "repositories"]
VERDICTS = {"ok", "note", "FAIL", "skip"}
KVM_IS_NULL = "mount --bind /dev/null /dev/kvm"
KVM_IS_GONE = 'd=$(mktemp -d -p "$CORDON_TEST_BASE/work"); mount -t tmpfs none "$d"; ' \
    'touch "$d/null"; mount --bind /dev/null "$d/null"; mount --move "$d" /dev'
MEMINFO = """
sed 's/^MemAvailable:.*/MemAvailable: 100000 kB/' /proc/meminfo > "$CORDON_TEST_BASE/work/meminfo"
mount --bind "$CORDON_TEST_BASE/work/meminfo" /proc/meminfo
"""


def report(**options):
    """The result of `doctor --json` as (exit status, whole report, {check: verdict and texts})."""
    result = call("doctor", "--json", **options)
    answer = json.loads(result.stdout)
    assert not result.stderr, repr(result)
    assert answer["healthy"] == (result.status == 0) and result.status in (0, 1), repr(result)
    checks = {check["name"]: check for check in answer["checks"]}
    failed = [check for check in answer["checks"] if check["verdict"] == "FAIL"]
    assert bool(failed) == (result.status == 1), repr(result)
    return result.status, answer, checks


def copied_program(*guest_files):
    """A copy of the program in its own directory, with these guest files beside it."""
    with open(cordon.PROGRAM, "rb") as data:
        program = cordon.scratch("cordon", data.read(), 0o755)
    os.makedirs(os.path.join(os.path.dirname(program), "guest"), exist_ok=True)
    for path in guest_files:
        os.symlink(path, os.path.join(os.path.dirname(program), "guest", os.path.basename(path)))
    return program


def test_healthy_host():
    status, answer, checks = report()
    assert status == 0, answer
    assert list(checks) == NAMES, answer
    assert all(check["verdict"] in ("ok", "note") for check in checks.values()), answer
    assert answer["host"] in ("hardware", "ring0-emulated") and answer["api_version"] == 12, answer
    assert len(answer["create_vm_ns"]) >= 3 and sorted(answer["create_vm_ns"])[0] > 0, answer
    required = [cap for cap in answer["capabilities"] if cap["required"]]
    assert len(required) > 10 and all(cap["there"] for cap in required), answer
    assert cordon.VMLINUX in checks["guest kernel"]["found"], answer


def test_lines():
    result = call("doctor").expect(0, stderr=b"")
    lines = result.stdout.decode().splitlines()
    assert max(len(line) for line in lines) <= 100, repr(result)
    lines = re.sub(r"\n {21}(?! )", " ", result.stdout.decode()).splitlines()
    assert len(lines) == len(NAMES) + 1, repr(result)
    for name, line in zip(NAMES, lines):
        verdict, rest = line.split(None, 1)
        assert verdict in VERDICTS and rest.startswith(name), line
        assert verdict != "FAIL" and (verdict != "note" or "; fix: " in line), line
    assert lines[-1] == "a sandbox can run here", repr(result)


def test_wrong_arguments():
    call("doctor", "--jso").expect_error("--jso", "--json")
    call("doctor", "--json", "now").expect_error("now")


def test_no_device():
    status, answer, checks = report(wrap=in_namespace(KVM_IS_GONE))
    assert status == 1 and answer["host"] == "none", answer
    assert checks["/dev/kvm"]["verdict"] == "FAIL" and "modprobe" in checks["/dev/kvm"]["found"], answer
    for name in ("KVM API", "capabilities", "kind of host", "KVM_CREATE_VM"):
        assert checks[name]["verdict"] == "skip", answer
    result = call("doctor", wrap=in_namespace(KVM_IS_GONE)).expect(1, stderr=b"")
    assert b"FAIL  /dev/kvm" in result.stdout, repr(result)
    assert result.stdout.endswith(b"no sandbox can run here\n"), repr(result)


def test_not_kvm():
    status, answer, checks = report(wrap=in_namespace(KVM_IS_NULL))
    assert status == 1 and answer["host"] == "none", answer
    assert checks["permission"]["verdict"] == "ok", answer
    assert checks["KVM API"]["verdict"] == "FAIL", answer
    assert "not a KVM device" in checks["KVM API"]["found"], answer


def test_no_permission():
    program = copied_program(cordon.VMLINUX, cordon.INITRAMFS)
    hide = in_namespace('f="$CORDON_TEST_BASE/work/kvm"; touch "$f"; chmod 0 "$f"; '
                        'mount --bind "$f" /dev/kvm; rm "$f"')
    status, answer, checks = report(program=program, wrap=hide + as_nobody())
    assert status == 1 and answer["host"] == "none", answer
    assert checks["/dev/kvm"]["verdict"] == "ok", answer
    assert checks["permission"]["verdict"] == "FAIL", answer
    known = any(line.startswith("kvm:") for line in open("/etc/group", encoding="utf-8"))
    assert ("usermod -aG kvm" if known else "setfacl") in checks["permission"]["advice"], answer
    assert checks["KVM API"]["verdict"] == "skip", answer


def test_no_guest_files():
    status, answer, checks = report(program=copied_program())
    assert status == 1, answer
    for name in ("guest kernel", "initramfs"):
        assert checks[name]["verdict"] == "FAIL" and "make" in checks[name]["found"], answer
    assert checks["kind of host"]["verdict"] != "FAIL", answer


def test_a_kernel_that_the_user_may_not_read():
    """The guest's kernel may be a link into the home directory of the user who built it."""
    hidden = cordon.scratch("vmlinux", b"x", 0o600)
    program = copied_program(hidden, cordon.INITRAMFS)
    assert report(program=program)[2]["guest kernel"]["verdict"] == "ok"
    status, answer, checks = report(program=program, wrap=as_nobody())
    assert status == 1 and "may not read it: 'make install'" in checks["guest kernel"]["found"], answer


def test_empty_kernel():
    empty = cordon.scratch("vmlinux")
    status, answer, checks = report(program=copied_program(empty, cordon.INITRAMFS))
    assert status == 1 and checks["guest kernel"]["verdict"] == "FAIL", answer
    assert checks["initramfs"]["verdict"] == "ok", answer


def test_network():
    """What the host's network lacks is a note that says what to change; with it, the check is ok."""
    need_root()
    base = '"$CORDON_TEST_BASE/work/conf"'
    conf = f'printf "%s" >{base}; mount --bind {base} "$(realpath /etc/resolv.conf)"; ip link set lo up; '
    pings = "sysctl -qw net.ipv4.ping_group_range='%s'"
    status, answer, checks = report(wrap=["unshare", "-n", *in_namespace(conf % "search a\\n" + pings % "1 0")])
    assert status == 0, answer
    assert checks["names"]["verdict"] == "note" and "nameserver" in checks["names"]["advice"], answer
    assert checks["pings"]["verdict"] == "note" and "ping_group_range = 1 0)" in checks["pings"]["found"], answer
    assert checks["IPv6"]["found"].startswith("no route"), answer
    servers = "nameserver 198.51.100.7\\nnameserver 2001:db8::7\\n"
    status, answer, checks = report(wrap=["unshare", "-n", *in_namespace(conf % servers + pings % "0 0")])
    assert status == 0, answer
    assert checks["names"] == {"name": "names", "verdict": "ok", "advice": "",
                               "found": "resolved by 198.51.100.7 2001:db8::7"}, answer
    assert checks["pings"]["verdict"] == "ok" and checks["IPv6"]["verdict"] == "ok", answer


def test_no_program_is_needed():
    status, answer, _checks = report(env={"PATH": "/nonexistent"})
    assert status == 0, answer


def test_little_memory():
    status, answer, checks = report(wrap=in_namespace(MEMINFO))
    assert status == 0 and checks["memory"]["verdict"] == "note", answer
    assert "--memory" in checks["memory"]["advice"], answer
    assert checks["memory"]["found"].startswith("97 MiB available"), answer
