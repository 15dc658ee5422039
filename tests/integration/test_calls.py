# SPDX-License-Identifier: Apache-2.0
"""Groups of system calls: what a policy closes fails, and what it opens, or leaves open, works."""
import json
import shutil

import cordon
from cordon import call, need_program, run, work, write
from sandboxes import execute, executing, sandbox

USER = "nobody"
DENIED, ABSENT = "Operation not permitted", "Function not implemented"

# What programs/calls.c prints without rules: what the groups that are open by default permit.
OPEN = {
    "ptrace": "ok", "process_vm_readv": "ok", "kcmp": "ok", "pidfd_getfd": "ok", "unshare_user": "ok",
    "unshare_mounts": "ok", "clone_user": "ok", "clone3": "Invalid argument", "setns": "ok", "mount": "ok",
    "setresuid": "ok", "setgroups": "ok", "raw": "ok", "packet": "ok", "address": "ok", "setting": "Permission denied",
    "netlink_raw": "ok", "clock": DENIED, "memfd_exec": "ok", "memfd_old": "ok", "memfd_data": "ok", "bpf": ABSENT,
    "perf": ABSENT, "io_uring": ABSENT, "keyring": ABSENT, "module": ABSENT, "thread": "ok"}

CLOSED = {
    "ptrace": dict.fromkeys(("ptrace", "process_vm_readv", "kcmp", "pidfd_getfd"), DENIED),
    "userns": {**dict.fromkeys(("unshare_user", "unshare_mounts", "clone_user", "setns", "mount"), DENIED),
               "clone3": ABSENT},
    "setuid": dict.fromkeys(("setresuid", "setgroups"), DENIED),
    "raw-net": dict.fromkeys(("raw", "packet"), DENIED),
    "memfd-exec": {"memfd_exec": DENIED, "memfd_old": "Permission denied"}}


# The same for programs/around.c, ways around the groups: some lead nowhere without rules either.
AROUND = {
    "x32": "signal 31", "clone3_user": "ok", "owner": "Invalid argument", "pidfd": "ok",
    "fsopen": "ok", "open_tree": "ok", "move_mount": "Bad file descriptor", "fspick": "ok", "mount_setattr": "ok",
    "allowing_filter": "ok", "tracing_filter": ABSENT, "first_traced": DENIED, "first_memory": "Permission denied",
    "first_written": DENIED, "first_descriptor": DENIED, "raw6": "ok", "raw_high": "ok", "memory_plain": "ok",
    "memory_plain_below": "ok", "memory_flag_below": "ok", "memory_switched_below": "ok", "memory_mapped": "ok"}
MEMORY = ("memory_plain", "memory_plain_below", "memory_switched_below")    # memory files without MFD_EXEC
AROUND_CLOSED = {
    **AROUND, "clone3_user": ABSENT,
    **dict.fromkeys(("owner", "pidfd", "fsopen", "open_tree", "move_mount", "fspick", "mount_setattr",
                     "allowing_filter", "tracing_filter", "raw6", "raw_high", "memory_flag_below"), DENIED),
    **dict.fromkeys(MEMORY, "Permission denied")}


def policy(*rules, name="p"):
    return write(name, "\n".join(("policy 1",) + rules) + "\n")


COPY = "cat >/tmp/calls && chmod 755 /tmp/calls"


def program(name="calls"):
    with open(cordon.program(name), "rb") as file:
        return file.read()


def results(result):
    lines = result.expect(0).stdout.decode().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_calls_without_rules():
    """Without rules, also without a policy, ordinary calls work, and what nothing ordinary needs fails."""
    assert results(run("sh", "-c", COPY + " && /tmp/calls", stdin=program())) == OPEN
    assert results(run("sh", "-c", COPY + " && /tmp/calls", stdin=program(),
                       options=["--policy", policy("process allow clock")])) == {**OPEN, "clock": "ok"}


@cordon.limit(300)
def test_calls_of_closed_groups():
    """Each group closes its own calls, and no others; together they close all of them."""
    with sandbox():
        execute("box", "sh", "-c", COPY, stdin=program()).expect(0)
        for group, closed in CLOSED.items():
            call("policy", "set", "box", policy("process deny " + group)).expect(0)
            assert results(execute("box", "/tmp/calls")) == {**OPEN, **closed}, group
        call("policy", "set", "box", policy("process deny " + " ".join(CLOSED))).expect(0)
        expected = dict(OPEN)
        for closed in CLOSED.values():
            expected.update(closed)
        assert results(execute("box", "/tmp/calls")) == expected
        # The filter is that of the policy in force, also after one that closed more.
        call("policy", "set", "box", policy("process allow " + " ".join(CLOSED))).expect(0)
        assert results(execute("box", "/tmp/calls")) == OPEN


def around(result):
    """What programs/around.c prints. The kernel has no ia32 calls: the processor, or its emulator, refuses them."""
    found = results(result)
    assert found.pop("int80") in ("signal 4", "signal 11"), result
    return found


@cordon.limit(300)
def test_calls_around_closed_groups():
    """Other tables of calls, newer calls, own filters, nested namespaces and setuid files lead around no group."""
    with sandbox("box", "--policy", policy("process deny " + " ".join(CLOSED))):
        execute("box", "sh", "-c", COPY + " && cp /tmp/calls /tmp/owned && chmod 4755 /tmp/owned",
                stdin=program("around")).expect(0)
        assert around(execute("box", "/tmp/calls")) == AROUND_CLOSED
        assert execute("box", "/tmp/owned", "euid", options=("--user", "nobody")).expect(0).stdout == b"65534\n"
        # What runs keeps its filter; what starts afterwards has the new one. Memory files are the namespace's matter.
        waiting = executing("box", "sh", "-c",
                            "touch /tmp/on; until [ -e /tmp/go ]; do sleep 0.1; done; exec /tmp/calls")
        execute("box", "sh", "-c", "until [ -e /tmp/on ]; do sleep 0.1; done").expect(0)
        call("policy", "set", "box", policy("process allow " + " ".join(CLOSED))).expect(0)
        assert around(execute("box", "sh", "-c", "touch /tmp/go; exec /tmp/calls")) == AROUND
        assert around(waiting.wait()) == {**AROUND_CLOSED, **dict.fromkeys(MEMORY, "ok")}


@cordon.limit(300)
def test_calls_in_copies():
    """Commands of a fork or a restored sandbox run under its own policy, which may close more and open nothing."""
    with sandbox("box", "--policy", policy("process deny ptrace")):
        execute("box", "sh", "-c", COPY, stdin=program()).expect(0)
        call("fork", "--policy", policy("process deny setuid", name="more"), "box", "1").expect_error(
            "it allows more: process ptrace")
        narrow = policy("process deny ptrace setuid", name="narrow")
        copy = call("fork", "--policy", narrow, "box", "1").expect(0, None, b"").stdout.decode().strip()
        try:
            assert results(execute(copy, "/tmp/calls")) == {**OPEN, **CLOSED["ptrace"], **CLOSED["setuid"]}
        finally:
            call("kill", copy)
        assert results(execute("box", "/tmp/calls")) == {**OPEN, **CLOSED["ptrace"]}
        call("snapshot", "box", work("saved")).expect(0)
    call("restore", "--policy", policy("process deny setuid", name="other"), work("saved"), "again").expect(0)
    try:
        assert results(execute("again", "/tmp/calls")) == {**OPEN, **CLOSED["setuid"]}
    finally:
        call("kill", "again")


def test_calls_are_explained():
    """Errors name file, line and what to do; `policy check` and `policy explain` tell each group's state and why."""
    for rule, *words in (("process allow bpf", ":2:15", "'bpf' can't be allowed", "remove it"),
                         ("process deny ptrac", ":2:14", "did you mean 'ptrace'"),
                         ("process deny ptrace\nprocess allow ptrace", ":3:1", "never decides")):
        bad = policy(rule)
        call("policy", "check", bad).expect_error(bad, *words)
        call("run", "--policy", bad, "--", "true").expect_error(bad, *words)
    good = policy("process deny bpf ptrace", "process allow clock")
    text = call("policy", "check", good).expect(0).stdout.decode()
    for line in (f"{good}:2: guest: process deny bpf ptrace", "process ptrace: closed: a rule denies it",
                 "process clock: open: a rule allows it", "process userns: open: open by default",
                 "process perf: closed: closed by default, and the guest's kernel has none of it"):
        assert line in text.splitlines(), (line, text)
    call("policy", "check", "--require", "host", good).expect_error("only the guest's kernel enforces this")
    assert call("policy", "explain", good, "process", "ptrace").expect(0).stdout == (
        f"use        deny  a rule denies it ({good}:2: process deny bpf ptrace) [guest]\n".encode())
    call("policy", "explain", good, "process", "ptrac").expect_error("did you mean 'ptrace'")
    execs = policy("exec allow /bin/**", name="execs")
    assert b"deny  the exec rules close it: a mount" in call("policy", "explain", execs, "process",
                                                              "userns").expect(0).stdout


def test_calls_in_logs():
    """`policy replay` compares what the log says of the groups; `policy learn` names those that no default opens."""
    lines = ({"seq": 1, "event": "system-calls", "object": "", "detail": "open: ptrace setuid clock"},
             {"seq": 2, "class": "exec", "op": "run", "object": "/bin/sh", "verdict": "allow"})
    logs = [write(f"log{count}", "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in (
        {**line, "hash": "0" * 64} for line in lines[:count]))) for count in (1, 2)]
    same = policy("process allow ptrace setuid clock", "process deny userns raw-net memfd-exec")
    assert call("policy", "replay", logs[0], same).expect(0).stdout == b"0 of 10 decisions would be different\n"
    other = policy("process deny ptrace", "process allow setuid clock memfd-exec", "exec allow /**")
    assert call("policy", "replay", logs[1], other).expect(1).stdout.decode().splitlines() == [
        f"1 process use ptrace: allow -> deny ({other}:2)", "1 process use raw-net: deny -> allow",
        f"1 process use memfd-exec: deny -> allow ({other}:3)", "3 of 11 decisions would be different"]
    note = "# was open, used or not: process allow "
    for log, groups in zip(logs, (["clock"], ["ptrace", "clock"])):
        learned = call("policy", "learn", log).expect(0).stdout.decode().splitlines()
        assert [line for line in learned if line.startswith(note)] == [note + group for group in groups], learned


@cordon.limit(900)
def test_calls_of_ordinary_programs():
    """Without rules the host's tools work that use what the groups have; with rules they fail in their own words."""
    cordon.need_whole()
    need_program("su", "unshare")
    # A sandbox with the host's programs has an /etc of its own, without rules for su.
    script = ("mkdir -p /etc/pam.d; for i in auth account session; do echo $i required pam_permit.so; done "
              f">/etc/pam.d/su; su {USER} -s /bin/sh -c 'id -un'; unshare -Ur id -un; exit 0")
    tools = {"strace": "strace -qq -o /tmp/s true && echo strace", "bwrap": "bwrap --ro-bind / / --dev /dev echo bwrap"}
    tools = {name: line for name, line in tools.items() if shutil.which(name)}
    whole = "; ".join([*tools.values(), script])
    done = run("sh", "-c", whole, options=["--rootfs", "host", "--memory", "512M"]).expect(0)
    assert done.stdout.split() == [*(name.encode() for name in tools), USER.encode(), b"root"], done
    options = ["--rootfs", "host", "--memory", "512M", "--policy", policy("process deny ptrace userns setuid")]
    closed = run("sh", "-c", whole, options=options).expect(0)
    assert closed.stdout == b"" and b"not permitted" in closed.stderr, closed
