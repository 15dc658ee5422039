# SPDX-License-Identifier: Apache-2.0
"""cordon exec: options, streams, signals, terminals."""
import contextlib
import os
import signal
import time

import cordon
from cordon import TIMED_OUT, Terminal, call, scratch, wait_until
from sandboxes import execute, executing, ps, sandbox


def test_exec_options():
    with sandbox():
        script = 'printf "%s|%s|%s|" "$A" "$B" "$SECRET_OF_THE_HOST"; pwd; id -un'
        execute("box", "sh", "-c", script, options=["-e", "A=1 2", "-e", "B", "-w", "/tmp"],
                env={"SECRET_OF_THE_HOST": "leaked", "B": "passed"}).expect(
                    0, b"1 2|passed||/tmp\nroot\n", b"")
        execute("box", "id", "-u", options=["-u", "nobody"]).expect(0, b"65534\n", b"")
        execute("box", "true", options=["-u", "noone"]).expect_error("noone")
        odd = os.fsdecode(b"C=\xff")
        execute("box", "true", options=["-e", "A=1", "-e", odd]).expect_error("a variable is not valid UTF-8")
        execute("box", "true", odd).expect_error("an argument is not valid UTF-8")
        execute("box", "true", options=["-e", "D"], env={"D": odd}).expect_error("a variable is not valid UTF-8")
        execute("box", "sh", "-c", 'echo "$C"', options=["-e", "C=\u00e9"]).expect(0, b"\xc3\xa9\n", b"")
        execute("box", "no-such-command").expect(127, b"")
        execute("box", "/proc/version").expect(126, b"")
        execute("box", "sh", "-c", "kill -TERM $$").expect(128 + 15, b"", b"")
        execute("box", "sleep", "1000", options=["-T", "1"]).expect(TIMED_OUT, b"")
        data = cordon.pattern(300000)
        execute("box", "cat", stdin=data).expect(0, data, b"")
        execute("box", "cat", stdin=b"").expect(0, b"", b"")
        execute("box", "sh", "-c", 'printf %s "$1" | wc -c', "sh", "x" * 90000).expect(0, b"90000\n")
        execute("box", "true", "x" * 70000, "y" * 70000).expect_error("longer")


def test_exec_with_closed_streams():
    with sandbox():
        for fd, status in ((0, 0), (1, 128 + 13), (2, 128 + 13)):
            wrap = ["sh", "-c", f'exec "$@" {fd}{"<" if fd == 0 else ">"}&-', "sh"]
            result = execute("box", "sh", "-c", "cat; echo out; echo err >&2; sleep 5", wrap=wrap)
            assert result.status == status, repr(result)    # as if the reader had gone
        execute("box", "echo", "still").expect(0, b"still\n")


def test_exec_signals():
    with sandbox():
        trap = "trap 'echo got; exit 3' INT; echo ready; while :; do sleep 1; done"
        process = executing("box", "sh", "-c", trap)
        process.wait_output(b"ready\n")
        process.signal(signal.SIGINT)
        process.wait().expect(3, b"ready\ngot\n", b"")
        process = executing("box", "sh", "-c", "echo ready; sleep 1000")
        process.wait_output(b"ready\n")
        process.signal(signal.SIGTERM)
        process.wait().expect(128 + 15)


def test_a_command_that_ignores_sigterm_is_killed():
    with sandbox():
        for number in (signal.SIGTERM, signal.SIGHUP):
            running = executing("box", "sh", "-c", "trap '' TERM HUP; echo ready; sleep 1000; sleep 1000")
            running.wait_output(b"ready\n")
            running.signal(number)
            result = running.wait()
            assert result.status == 128 + signal.SIGKILL, result
        wait_until(lambda: not ps()["box"]["jobs"], "the jobs to be gone")


def test_no_stdin_leaves_the_input_of_a_loop():
    with sandbox():
        loop = f'while read line; do {cordon.PROGRAM} exec -n box -- sh -c "cat; echo got $line"; done'
        with open(scratch("lines", b"a\nb\n"), "rb") as lines:
            call("-c", loop, program="/bin/sh", stdin=lines).expect(0, b"got a\ngot b\n", b"")


def test_the_host_has_what_the_sandbox_has_not():
    with sandbox():
        execute("box", "python3").expect_error("not found in the sandbox", "--rootfs host", status=127)
        missing = execute("box", "no-such-program").expect(127)
        assert b"--rootfs" not in missing.stderr, missing
    call("run", "--", "python3").expect_error("not found in the sandbox", "--rootfs host", status=127)


def test_exec_on_a_terminal():
    with sandbox():
        terminal = Terminal("exec", "-t", "-e", "PS1=" + cordon.PROMPT.decode(), "box", "--", "sh",
                            rows=30, columns=91)
        terminal.shell(b"stty size; tty; echo $((6*7))")
        terminal.expect(b"30 91")
        terminal.expect(b"/dev/pts/")
        terminal.expect(b"42")
        terminal.resize(20, 55)
        os.kill(terminal.pid, signal.SIGWINCH)
        terminal.shell(b"sleep 1; stty size")
        terminal.expect(b"20 55")
        terminal.shell(b"echo con''sole >/dev/console")
        terminal.expect(b"console\r\n")
        terminal.shell(b"echo g''o; cat")
        terminal.expect(b"go\r\n")          # from here on the shell does not read
        terminal.type(b"echoed\n")
        terminal.expect(b"echoed")          # by the terminal
        terminal.expect(b"echoed")          # by cat
        terminal.type(b"\x03")              # to cat, not to cordon
        terminal.shell(b"echo status $?; exit 5")
        terminal.expect(b"status 130")
        assert terminal.wait() == 5, terminal.output
        assert terminal.settings() == terminal.before, "the terminal is left in raw mode"
        terminal.close()


def test_exec_typed_input_without_a_terminal_in_the_guest():
    """Typed lines reach the command and ^D ends its input, even if only stdin is a terminal."""
    with sandbox():
        terminal = Terminal("exec", "box", "--", "sh", "-c", "cat; echo end")
        time.sleep(0.5)
        terminal.type(b"one\n")
        terminal.expect(b"one\r\none")
        terminal.type(b"\x04")
        terminal.expect(b"end")
        assert terminal.wait() == 0
        terminal.close()


def test_exec_detached():
    with sandbox():
        script = "echo out; echo err >&2; read x < /tmp/go; echo later; exit 9"
        execute("box", "mkfifo", "/tmp/go").expect(0)
        number = int(execute("box", "sh", "-c", script, options=["-d"]).expect(0).stdout)
        wait_until(lambda: call("logs", "box", str(number)).stdout == b"out\n", "the first output")
        jobs = ps()["box"]["jobs"]
        assert [(job["job"], job["detached"]) for job in jobs] == [(number, True)], jobs
        assert call("ps", "-q").expect(0).stdout == b"box\n"
        assert call("ps", "--format", "{{.Names}}={{.ID}}").expect(0).stdout == b"box=box\n"
        assert call("ps", "--format", "{{.Name}} is {{.STATE}}, {{.jobs}} job").expect(0).stdout == b"box is running, 1 job\n"
        following = cordon.Process("logs", "-f", "box", str(number))
        following.wait_output(b"out\n")
        execute("box", "sh", "-c", "echo > /tmp/go").expect(0)
        wait_until(lambda: ps()["box"]["ended"], "its end")
        following.wait().expect(0, b"out\nlater\n", b"err\n")
        call("logs", "--tail", "1", "box", str(number)).expect(0, b"later\n", b"err\n")
        assert ps()["box"]["ended"][0]["status"] == 9
        call("logs", "box", str(number)).expect(0, b"out\nlater\n", b"err\n")
        call("logs", "box", "77").expect_error("77")
        # The kept output is bounded, and the command does not notice.
        big = "yes 0123456789abcde | head -c 3000000; echo $? > /tmp/status"
        number = int(execute("box", "sh", "-c", big, options=["-d"]).expect(0).stdout)
        wait_until(lambda: not ps()["box"]["jobs"], "its end")
        kept = call("logs", "box", str(number)).expect(0).stdout
        assert len(kept) == cordon.MIB and set(kept.split()) == {b"0123456789abcde"}, len(kept)
        execute("box", "cat", "/tmp/status").expect(0, b"0\n")


def test_waiting_for_a_detached_command():
    with sandbox():
        number = execute("box", "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 1; done",
                         options=["-d"]).expect(0).stdout.decode().strip()
        wait_until(lambda: call("logs", "box", number).stdout == b"ready\n", "its output")
        waiting = cordon.Process("wait", "--job", number, "box")
        call("kill", "-j", number, "-s", "term", "box").expect(0, b"", b"")
        waiting.wait().expect(7, b"", b"")
        call("wait", "-j", number, "box").expect(7)         # also afterwards
        call("kill", "-j", number, "box").expect_error("no such job")
        call("wait", "-j", "99", "box").expect_error("no such job")
        number = execute("box", "sleep", "1000", options=["-d"]).expect(0).stdout.decode().strip()
        call("kill", "-j", number, "box").expect(0)
        call("wait", "-j", number, "box").expect(128 + signal.SIGKILL)
        number = execute("box", "sleep", "1000", options=["-d"]).expect(0).stdout.decode().strip()
        waiting = cordon.Process("wait", "--job", number, "box")
        call("stop", "-t", "1", "box").expect(0)
        assert waiting.wait().status in (125, 128 + signal.SIGTERM), waiting.result()


@cordon.limit(cordon.many(400, 3600))
def test_outputs_are_never_mixed():
    """Several commands at once in each of several sandboxes: every byte goes to its own client."""
    names = [f"box{i}" for i in range(cordon.many(3, 20))]
    commands = cordon.many(4, 5)
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(sandbox(name))
        processes = []
        for name in names:
            for number in range(commands):
                word = f"{name}{number}"
                script = (f"i=0; while [ $i -lt 60 ]; do echo {word} $i; echo {word} $i >&2; "
                          f"i=$((i+1)); done; cat; exit {number}")
                process = executing(name, "sh", "-c", script)
                process.feed(word.encode() * 5000)
                processes.append((process, word, number))
        for process, word, number in processes:
            lines = b"".join(b"%s %d\n" % (word.encode(), i) for i in range(60))
            process.wait().expect(number, lines + word.encode() * 5000, lines)


def test_a_reader_that_stops():
    """A client that does not read a gigabyte of output: the command waits, the monitor keeps little, others go on."""
    with sandbox() as pid:
        before = cordon.private_kib(pid)
        read_fd, write_fd = os.pipe()
        process = executing("box", "sh", "-c", "head -c 1000000000 /dev/zero", stdout=write_fd)
        os.close(write_fd)
        time.sleep(3)
        assert process.poll() is None
        execute("box", "echo", "meanwhile").expect(0, b"meanwhile\n", b"")
        assert cordon.private_kib(pid) - before < 40 * 1024, "the monitor keeps the output"
        process.signal(signal.SIGKILL)      # the client; the command ends with it
        process.wait()
        wait_until(lambda: not ps()["box"]["jobs"], "the command's end")
        os.close(read_fd)
        execute("box", "sh", "-c", "! pgrep head").expect(0)


def test_a_pipe_shared_by_two():
    """Commands in two sandboxes read one pipe: the second to come waits, and nothing else does."""
    with sandbox("one"), sandbox("two"):
        read_fd, write_fd = os.pipe()
        first = executing("one", "cat", stdin=read_fd)
        second = executing("two", "cat", stdin=read_fd)
        for round_number in range(20):
            os.write(write_fd, b"x")
            time.sleep(0.02)
        call("stats", "one").expect(0)
        call("stats", "two").expect(0)
        os.close(write_fd)
        os.close(read_fd)
        total = first.wait().expect(0).stdout + second.wait().expect(0).stdout
        assert total == b"x" * 20, total
