# SPDX-License-Identifier: Apache-2.0
"""cordon attach: lines of a script, and the prompt on a terminal."""
import json
import os
import signal

from cordon import call, limit
from sandboxes import execute, ps, sandbox
from screen import Screen


def attach(lines, *args):
    return call("attach", *args, stdin=lines.encode())


@limit(300)
def test_lines_of_a_script():
    """Exactly the outputs of the lines, in order; the status is the last line's. All in one shell."""
    with sandbox():
        attach("cd /tmp\npwd\nx='a b'\necho \"$x\"\n").expect(0, b"/tmp\na b\n", b"")
        attach("false").expect(1, b"", b"")
        attach("").expect(0, b"", b"")
        attach("(exit 7)\necho $?\n").expect(0, b"7\n", b"")
        # A command of several lines, a function, a here-document; commands have no input.
        attach("for i in 1 2\ndo echo $i\ndone\nf() {\necho f$1\n}\nf x\ncat <<E\nhere\nE\ncat\n").expect(
            0, b"1\n2\nfx\nhere\n", b"")
        # Both outputs, and no terminal.
        attach("echo out\necho err >&2\ntest -t 1\n").expect(1, b"out\n", b"err\n")
        # A wrong line ends neither the shell nor the script.
        result = attach(")\necho on\n").expect(0, b"on\n")
        assert b"syntax error" in result.stderr, result
        # exit ends it, with its status; the lines after it do not run.
        attach("exit 9\necho no\n").expect(9, b"", b"")
        attach("for i in 1\n").expect(2, b"")
        # Output that looks like a mark is output.
        attach("printf '\\033]133;D;0;1;/\\a'\n").expect(0, b"\033]133;D;0;1;/\a", b"")
        # Binary output, byte for byte.
        attach("printf '\\000\\001\\377\\r\\n'\n").expect(0, b"\0\1\377\r\n", b"")
        call("attach", "-c", "echo one; exit 3", "box").expect(3, b"one\n", b"")


@limit(300)
def test_commands_of_a_script():
    """Lines that begin with ':' are verbs of cordon, for this sandbox; they stand where the line stands."""
    with sandbox():
        lines = "echo one\n:jobs\necho two\n:stats --json\n"
        output = attach(lines, "box").expect(0, stderr=b"").stdout.decode()
        one, rest = output.split("\n", 1)
        jobs, rest = rest.split("two\n")
        assert one == "one" and jobs.startswith("JOB") and " sh\n" in jobs, output
        assert "cpu_us" in json.loads(rest), output
        result = attach(":fil\necho on\n")
        result.expect(0, b"on\n", b"cordon: there is no command :fil: did you mean :files?\n")
        attach(":share x").expect_error(":share is not there yet")
        attach(":cp 'a").expect_error("a quote is not closed")
        attach(":").expect_error("which command?")
        attach(":shell").expect_error("needs a terminal")
        attach("echo a\n:detach\necho b\n").expect(0, b"a\n", b"")
        attach(":exec sh -c 'echo $0 x'\n").expect(0, b"sh x\n", b"")
        # Within a command too: only the guest says that there is one.
        assert attach("cat <<E\n:jobs\nE\n").expect(0, stderr=b"").stdout.startswith(b"JOB")
        # The verb gets nothing of the script.
        attach(":exec cat\necho on\n").expect(0, b"on\n", b"")
        attach(":deny 1 session").expect_error(":deny N takes no or never")
        attach(":allow 1 never").expect_error(":allow N takes once, session or always")
        call("attach", "--new", "box").expect_error("for a terminal")


@limit(300)
def test_bad_lines_and_names():
    call("attach").expect_error("no sandbox runs")
    call("attach", "none").expect_error("no sandbox is called none")
    call("attach", "a", "b").expect_error("unexpected argument 'b'")
    call("attach", "--session", "0", "box").expect_error("--session")
    with sandbox():
        attach("echo a\0b\n").expect_error("line 1", "NUL")
        attach("echo " + "x" * 70000).expect_error("line 1", "at most 65536")
        call("attach", stdin=("echo " + "x" * 5000).encode()).expect(0, b"x" * 5000 + b"\n", b"")
        with sandbox("other"):
            call("attach").expect_error("which of 2", "box", "other")


@limit(600)
def test_prompt():
    """A line runs in the shell behind the prompt, which shows directory and status."""
    with sandbox(), Screen("attach", "box") as screen:
        screen.wait_last("box:/root$")
        assert screen.run("cd /tmp; x=5", "box:/tmp$") == ""
        assert screen.run("(exit 3)", "[3] box:/tmp$") == ""
        assert screen.run('echo "$? $x ä€"', "box:/tmp$") == "3 5 ä€"
        assert screen.run("printf no-newline", "box:/tmp$") == "no-newline"
        assert "unexpected" in screen.run(")", "[2] box:/tmp$")
        assert screen.run("tty; stty size", "box:/tmp$").split("\n") == ["/dev/pts/0", "24 90"]
        # Marks in output are output; escape sequences are the program's, as in ssh.
        assert screen.run("printf '\\033]133;D;0;1;/\\a\\033[31mred\\033[0m\\n'", "box:/tmp$") == "red"
        # A command of several lines.
        screen.type("for i in 1 2; do", "Enter")
        screen.wait_last(">")
        screen.type("echo n$i; done", "Enter")
        screen.wait("n1\nn2\nbox:/tmp$")
        screen.type("if true", "Enter")
        screen.wait_last(">")
        screen.type("", "C-c")
        screen.wait_last("[130] box:/tmp$")
        # A long line, and one with a tab, arrive whole.
        assert screen.run("echo " + "y" * 950 + " | wc -c", "box:/tmp$").endswith("951")
        screen.type("echo '", "C-v", "Tab")
        screen.type("' | od -An -c", "Enter")
        screen.wait("\\t  \\n")
        # Completion of programs, paths and commands; history.
        screen.wait_last("box:/tmp$")
        screen.type("cat /etc/pass", "Tab")
        screen.wait_last("box:/tmp$ cat /etc/passwd")
        screen.type("", "C-c")
        screen.wait_last("box:/tmp$")
        screen.type(":stat", "Tab")
        screen.wait_last("box:/tmp$ :stats")
        screen.type("", "C-c", "Up")
        screen.wait_last("box:/tmp$ echo '	' | od -An -c".expandtabs(8))
        screen.type("", "C-c")
        # Commands of Cordon.
        assert "attached" in screen.run(":jobs", "box:/tmp$")
        assert "did you mean :stats" in screen.run(":stat", "[125] box:/tmp$")


@limit(600)
def test_programs_have_the_terminal():
    with sandbox(), Screen("attach", "box") as screen:
        screen.wait_last("box:/root$")
        screen.type("sh -c 'echo ready; exec sleep 1000'", "Enter")
        screen.wait("\nready")
        screen.type("", "C-c")
        screen.wait_last("[130] box:/root$")
        screen.type("cat", "Enter")
        screen.wait_last("[130] box:/root$ cat")
        screen.type("typed", "Enter")
        screen.wait("typed\ntyped")
        screen.type("", "C-d")
        screen.wait_last("box:/root$")
        # The program itself says that it runs: before that, the shell would get the signal, and ignore it.
        screen.type("sh -c 'echo started; exec sleep 1000'", "Enter")
        screen.wait("\nstarted")
        screen.type("", "C-z")
        screen.wait_last("[148] box:/root$")
        assert "Stopped" in screen.run("jobs", "box:/root$")
        screen.run("kill %1", "box:/root$")
        # The window's size follows.
        screen.resize(30, 100)
        assert screen.run("stty size", "box:/root$").endswith("30 100")
        # A program of the whole screen.
        screen.type("vi /tmp/f", "Enter")
        screen.wait("/tmp/f 1/1 100%")
        screen.type("ihello")
        screen.wait("hello")
        screen.type("", "Escape")
        # A key that follows at once would make it the first byte of a function key's sequence.
        screen.wait("- /tmp/f")
        screen.type(":wq", "Enter")
        screen.wait_last("box:/root$")
        assert screen.run("cat /tmp/f", "box:/root$").endswith("hello")
        # What is pasted waits for the prompt, line by line.
        screen.type("", "C-l")
        screen.paste(b"sh -c 'echo reads; exec cat >/tmp/g'\necho pasted\n")
        screen.wait("\nreads")
        screen.type("", "C-d")
        screen.wait("\npasted")
        screen.wait_last("box:/root$")
        assert execute("box", "cat", "/tmp/g").stdout == b""


@limit(600)
def test_detach_and_attach():
    """The shell goes on without its operator, and is found again. Each operator has a shell of its own."""
    with sandbox() as monitor:
        with Screen("attach") as screen:
            screen.wait_last("box:/root$")
            screen.run("cd /tmp; x=5", "box:/tmp$")
            screen.type("", "C-]")
            screen.wait("status 0")
        with Screen("attach", "box") as screen:
            screen.wait_last("box:/tmp$")
            assert screen.run("echo $x", "box:/tmp$") == "5"
            with Screen("attach", "box") as other:
                other.wait_last("box:/root$")
                assert other.run("echo x=$x", "box:/root$") == "x="
                other.type(":shell 1", "Enter")
                other.wait("cordon: session 1 is attached already")
                other.wait_last("box:/root$")
                other.type("exit 4", "Enter")
                other.wait("status 4")
            # A lost terminal detaches too; what the program shows is shown again.
            screen.type("sh -c 'echo still; exec cat'", "Enter")
            screen.wait("\nstill")
        with Screen("attach", "box") as screen:
            screen.wait("still")
            screen.type("", "C-c")
            screen.wait_last("[130] box:/tmp$")
            # The shell is killed; the next attach has a new one.
            screen.type("kill -9 $$", "Enter")
            screen.wait("status 137")
        with Screen("attach", "box") as screen:
            screen.wait_last("box:/root$")
            screen.type("exec sh -c 'echo other; exit 6'", "Enter")
            screen.wait("other")
            screen.wait("status 6")
        # The monitor dies.
        with Screen("attach", "box") as screen:
            screen.wait_last("box:/root$")
            os.kill(monitor, signal.SIGKILL)
            screen.wait("status 125")
        assert "box" not in ps()
