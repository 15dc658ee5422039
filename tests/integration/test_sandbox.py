# SPDX-License-Identifier: Apache-2.0
"""What a command can and cannot do to the guest that it runs in. Each "cannot" has a "can" beside it."""
from cordon import EAT_MEMORY, call, limit, run, small_guest


SMALL = small_guest()


def script(*lines, options=()):
    return run("sh", "-c", "\n".join(lines), options=list(options))


def test_sandbox_root_is_unprivileged_outside():
    result = script(
        "id -u; cat /proc/self/uid_map; grep NoNewPrivs /proc/self/status",
        "echo x >/here && echo writes-root; mount -t tmpfs t /mnt && echo mounts",
        "hostname mine && hostname",
        "mknod /tmp/disk b 1 0 || echo no-device",
        "date -s 2001-01-01 >/dev/null; date | grep -q 2001 || echo no-clock",
        "echo 1 >/proc/sys/kernel/panic || echo no-sysctl",
        "mount -o remount,rw /sys || echo no-remount",
        "umount / || echo no-umount",
        "cat /proc/1/maps || echo no-maps")
    lines = result.expect(0).stdout.decode().split("\n")
    assert lines[0] == "0" and lines[1].split() == ["0", "100000", "4294867295"], repr(result)
    assert lines[2:] == ["NoNewPrivs:\t1", "writes-root", "mounts", "mine", "no-device", "no-clock",
                         "no-sysctl", "no-remount", "no-umount", "no-maps", ""], repr(result)


def test_signals_stay_inside():
    # It can kill its own child; a kill of PID 1 and one of all processes end nothing that matters.
    script("sleep 100 & kill -9 $!; wait $!; echo child $?", "kill -9 1; kill -9 -1",
           "echo alive").expect(0, b"child 137\nalive\n")


@limit(600)
def test_fork_bomb_is_bounded():
    result = script("bomb() { bomb | bomb & }", "bomb 2>/dev/null", "sleep 1", "echo end")
    result.expect(0, b"end\n")


@limit(600)
def test_out_of_memory_ends_the_program_only():
    result = script(EAT_MEMORY, "echo it ended with $?", options=SMALL)
    result.expect(0, b"it ended with 137\n")


@limit(600)
def test_full_root_is_an_error_not_an_end():
    result = script("dd if=/dev/zero of=/tmp/big bs=1M 2>/dev/null || echo full", "rm /tmp/big",
                    "echo small >/tmp/small && cat /tmp/small", options=SMALL)
    result.expect(0, b"full\nsmall\n")


@limit(400)
def test_users_are_looked_up_with_no_more_rights_than_theirs():
    """The agent opens /etc/passwd as one of the sandbox's users, and never waits for what a workload puts there."""
    call("start", "box").expect(0, b"", b"")
    try:
        def look(prepare, *user):
            call("exec", "box", "--", "sh", "-c", "rm -rf /etc/passwd; " + prepare).expect(0)
            return call("exec", *user, "box", "--", "sh", "-c", "echo $HOME")    # id would read the file itself

        write = "echo 'worker:x:77:78::/tmp:/bin/sh' >/etc/passwd"
        look(write, "--user", "worker").expect(0, b"/tmp\n", b"")
        look(write).expect(0, b"/\n", b"")
        for place in ("mkfifo /etc/passwd", "ln -s /dev/tty /etc/passwd", "ln -s /proc/self/fd/3 /etc/passwd",
                      "ln -s /proc/slabinfo /etc/passwd"):
            look(place).expect(0, b"/\n", b"")
            look(place, "--user", "worker").expect_error("worker", "no such user")
        look("cd /etc; ln -s other passwd; cat >other; " + write, "--user", "worker").expect(0, b"/tmp\n", b"")
    finally:
        call("kill", "box")
