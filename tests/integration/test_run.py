# SPDX-License-Identifier: Apache-2.0
"""cordon run: a command's output, exit status and environment."""
import os
import re

import cordon
from cordon import FAILED, TIMED_OUT, call, run


def test_output_is_exact_and_separate():
    result = run("sh", "-c", r"printf 'out\0\n\r\377'; printf 'err\n\033' >&2; exit 7")
    result.expect(7, b"out\0\n\r\xff", b"err\n\x1b")


def test_true():
    run("/bin/true").expect(0, b"", b"")


def test_not_found():
    result = run("no-such-command", "x").expect(127, b"")
    assert b"no-such-command" in result.stderr, repr(result)


def test_not_executable():
    result = run("/proc/version").expect(126, b"")
    assert b"/proc/version" in result.stderr, repr(result)


def test_killed_by_signal():
    run("sh", "-c", "kill -TERM $$").expect(128 + 15, b"")
    run("sh", "-c", "kill -KILL $$").expect(128 + 9, b"")


def test_arguments_are_exact():
    words = ["two words", "", "'q\"", "$HOME `id` \\", "--", "-v", "ä\n漢", "*"]
    result = run("sh", "-c", 'for w; do printf "%s\\0" "$w"; done', "sh", *words)
    result.expect(0, b"".join(word.encode() + b"\0" for word in words), b"")


def test_environment_and_directory():
    script = 'printf "%s|%s|%s|%s|" "$A" "$B" "$C" "$SECRET_OF_THE_HOST"; pwd; test -n "$PATH"'
    result = run("sh", "-c", script, env={"SECRET_OF_THE_HOST": "leaked", "C": "passed"},
                 options=["--env", "A=1 2", "--env", "B=x=y", "--env", "C", "--workdir", "/tmp"])
    result.expect(0, b"1 2|x=y|passed||/tmp\n", b"")


def test_workdir_missing():
    result = run("true", options=["--workdir", "/no/such/directory"])
    assert result.status == FAILED and b"/no/such/directory" in result.stderr, repr(result)


def guest_memory(result):
    return int(re.search(rb"MemTotal: +(\d+) kB", result.expect(0).stdout).group(1)) * 1024


def test_memory():
    for size in (64, 512):
        result = run("cat", "/proc/meminfo", options=["--memory", f"{size}M"])
        # MemTotal leaves out what the kernel keeps for itself.
        assert size * 0.7 < guest_memory(result) / cordon.MIB < size, repr(result)


def test_memory_above_the_hole():
    """With more than 3 GiB of memory, the rest lies above 4 GiB."""
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < 5 << 30:
        raise cordon.Skip("needs a host with 5 GiB of memory")
    size, least = cordon.many(("3328M", 3100), ("5G", 4500))    # the guest's kernel prepares each page
    result = run("cat", "/proc/meminfo", options=["--memory", size])
    assert guest_memory(result) / cordon.MIB > least, repr(result)


def test_one_cpu():
    run("nproc", options=["--cpus", "1"]).expect(0, b"1\n", b"")


def test_several_cpus():
    counts = (2, 4, 8) if cordon.HARDWARE else (2,)
    for count in counts:
        result = run("sh", "-c", "nproc; for i in 1 2 3 4; do (seq 1 2000 | md5sum) & done; wait",
                     options=["--cpus", str(count)])
        result.expect(0)
        lines = result.stdout.splitlines()
        assert lines[0] == str(count).encode() and len(set(lines[1:])) == 1 and len(lines) == 5, \
            repr(result)


def test_timeout():
    result = run("sh", "-c", "echo begun; sleep 1000", options=["--timeout", "15s"])
    assert result.status == TIMED_OUT, repr(result)
    run("sh", "-c", "echo done", options=["--timeout", "10m"]).expect(0, b"done\n", b"")


def test_verbose_time_line():
    result = run("echo", "out", options=["--verbose", "--cold"]).expect(0, b"out\n")
    text = result.stderr.decode()
    line = re.compile(r"^cordon: +([\d.]+) ms  \+ *([\d.]+) ms  (.+)$", re.M)
    steps = [(float(at), float(step), name) for at, step, name in line.findall(text)]
    assert [name for _at, _step, name in steps] == [
        "cordon started", "machine created", "kernel loaded", "vCPUs running", "drivers ready",
        "agent connected", "agent ready", "command started", "first output", "command ended"], repr(result)
    for (before, _step, _name), (at, step, name) in zip(steps, steps[1:]):
        assert at >= before and abs(at - before - step) < 0.01, f"{name}: {result!r}"
    assert re.search(r"^cordon: KVM exits by reason: (\w+ \d+, )*mmio_exits \d+", text, re.M), repr(result)
    exits = re.search(r"^cordon: exits to the monitor (\d+)$", text, re.M)
    assert exits and int(exits[1]) > 0, repr(result)


def test_console():
    talkative = ["--cold", "--cmdline-append", "loglevel=8"]
    run("echo", "out", options=talkative).expect(0, b"out\n", b"")
    shown = run("echo", "out", options=[*talkative, "--console"]).expect(0, b"out\n")
    assert b"\nRun /init as init process\n" in shown.stderr.replace(b"\r", b""), \
        f"the console expected on stderr: {shown!r}"


def test_whole_guest():
    """The guest has what sandboxes need: devices, file systems, random numbers, pipes."""
    script = r"""
        for f in /dev/null /dev/zero /dev/urandom /dev/tty /proc/self /sys/kernel /dev/pts /dev/shm /dev/console; do
            [ -e $f ] || echo missing $f
        done
        echo x > /tmp/x && rm /tmp/x || echo "cannot write /tmp"
        [ "$(head -c 16 /dev/urandom | wc -c)" = 16 ] || echo "no randomness"
        for t in ext4 squashfs overlay virtiofs tmpfs cgroup2 proc sysfs devtmpfs; do
            grep -qw $t /proc/filesystems || echo "no $t"
        done
        cat /proc/mounts > /dev/null
        : >/dev/mqueue/q && grep -q QSIZE /dev/mqueue/q && rm /dev/mqueue/q || echo "no message queues"
        [ "$(echo a | { cat; } | wc -c)" = 2 ] || echo "no pipes"
    """
    run("sh", "-c", script).expect(0, b"", b"")


def test_spellings_of_other_tools():
    """What users of other tools type does what they expect."""
    run("hostname", options=["-i", "--rm", "--hostname", "web.example"]).expect(0, b"web.example\n")
    call("run", "--entrypoint", "sh", "--", "-c", "echo $0 $1", "a", "b").expect(0, b"a b\n")
    call("run", "--entrypoint=pwd").expect(0)
    lines = cordon.scratch("env", b"# two\nA=1 2\nPASSED\nNOT_SET_HERE\n")
    run("sh", "-c", "echo $A $PASSED ${NOT_SET_HERE-none}", options=["--env-file", lines], env={"PASSED": "p"}).expect(
        0, b"1 2 p none\n")
    place = os.path.dirname(lines)
    for option in (["-v", f"{place}:/w:ro"], ["--mount", f"type=bind,source={place},target=/w,readonly"]):
        run("sh", "-c", "cat /w/env | wc -l; touch /w/x 2>/dev/null || echo refused",
            options=option).expect(0, b"4\nrefused\n")
    run("true", options=["--network", "none"]).expect(0)
    for name in ("-x", "a_b", "", "x" * 65):
        run("true", options=[f"--hostname={name}"]).expect_error("hostname")
