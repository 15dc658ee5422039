# SPDX-License-Identifier: Apache-2.0
"""cordon attach when things go wrong: storms, floods, forged marks, shells and monitors that die."""
import http.server
import os
import re
import select
import signal
import termios
import threading

from cordon import Process, Terminal, call, limit, private_kib, wait_until, write
from sandboxes import execute, executing, ps, sandbox
from shell_client import Shell

ENV = {"TERM": "xterm", "LANG": "C.UTF-8"}
ENTERED = b"\r\n\033[?2004l"            # the end of a line that was edited


def attach(*args, **keywords):
    return Terminal("attach", *args, "box", env=ENV, **keywords)


def prompt(status="", directory="/root"):
    return f"{status}box:{directory}$ ".encode()


def enter(screen, line, output, before=None):
    """Enter a line, at the prompt `before` if that has not been seen yet; wait for its output."""
    if before:
        screen.expect(before)
    screen.type(line + b"\r")
    screen.expect(ENTERED + output)


def end(screen, status, text=b""):
    """Wait for the end: the last line that is shown has this text, and the terminal is as it was before."""
    assert screen.wait() == status, screen.output
    assert text in screen.output.rstrip(b"\r\n").rpartition(b"\n")[2], (text, screen.output)
    assert screen.settings() == screen.before
    screen.close()


def paste(terminal, data):
    """Paste as a terminal does for a program that has requested bracketed paste, and read what is shown."""
    data = b"\033[200~" + data + b"\033[201~"
    while data:
        readable, writable, _ = select.select([terminal.master], [terminal.master], [], 60)
        assert readable or writable, "the paste does not go on"
        assert not terminal.settings()[3] & (termios.ICANON | termios.ECHO), "the rest of the paste is echoed"
        if readable:
            terminal.output = terminal.output[-(1 << 20):] + os.read(terminal.master, 65536)
        if writable:
            data = data[os.write(terminal.master, data[:1024]):]


@limit(600)
def test_storms_of_sizes():
    """Thousands of sizes: the last one arrives, and all else goes on."""
    with sandbox() as pid:
        screen = attach()
        screen.expect(prompt())
        before = private_kib(pid)

        def storm():
            for i in range(3000):
                screen.resize(10 + i % 50, 40 + i % 100)
            screen.resize(37, 113)

        # While a line is edited, and while a program runs.
        screen.type(b"echo ha")
        storm()
        enter(screen, b"lf; stty size", b"half\r\n37 113\r\n")
        enter(screen, b"sh -c 'trap \"stty size\" WINCH; echo ready; while :; do sleep 1; done'", b"ready", prompt())
        screen.resize(20, 60)
        screen.expect(b"\n20 60\r\n")
        storm()
        screen.expect(b"37 113\r\n")
        screen.type(b"\x03")
        enter(screen, b"stty size", b"37 113\r\n", prompt("[130] "))
        screen.expect(prompt())
        # Straight to the monitor, as a client of its own may do.
        shell = Shell()
        shell.line(b"sh -c 'echo rea\"\"dy; cat; stty size'")
        shell.expect(b"ready")
        for i in range(20000):
            shell.control.send(b'{"op":"resize","exec":1,"rows":%d,"columns":%d}' % (1 + i % 60, 1 + i % 90))
        shell.control.send(b'{"op":"resize","exec":1,"rows":38,"columns":114}')
        execute("box", "echo", "fine").expect(0, b"fine\n")
        shell.type(b"\x04")
        shell.expect(b"38 114\r\n")
        shell.close()
        assert private_kib(pid) < before + 4096
        enter(screen, b"exit 5", b"")
        end(screen, 5)


@limit(600)
def test_long_pastes():
    """A line has a bound; a megabyte of lines waits for the prompt, and Ctrl-C drops what waits."""
    with sandbox():
        screen = attach()
        screen.expect(prompt())
        paste(screen, b"echo " + b"x" * 200 + b" | wc -c\n")
        screen.expect(ENTERED + b"201\r\n")
        screen.expect(prompt())
        paste(screen, b"echo " + b"y" * (1 << 20) + b"\n")
        screen.expect(b"the line has 1048581 bytes, at most 65536 fit: put it into a file (:cp)")
        enter(screen, b"echo status $?", b"status 0\r\n", prompt())
        # Pasted control characters are no keys, and a pasted line is not Cordon's.
        screen.expect(prompt())
        paste(screen, b"echo '<\x03\x1d\x1e\x1c>' | od -An -c\n:exec echo no\necho last\n")
        screen.expect(ENTERED + b"   <")
        screen.expect(b"a pasted line is not run as a command of Cordon: :exec echo no")
        screen.expect(ENTERED + b"last\r\n")
        screen.expect(prompt())
        for ready in (b"sh -c 'echo ready; exec sleep 1000'", b"sh -c 'echo ready; exec cat'"):
            paste(screen, ready + b"\n" + b"echo x >>/tmp/ran\n" * 58254)
            screen.expect(ENTERED + b"ready")
            screen.type(b"\x03")
            assert re.search(rb"pasted text is dropped \(10485[0-9]{2} bytes\)", screen.expect(b" bytes)"))
            screen.expect(prompt("[130] "))
        enter(screen, b"cat /tmp/ran", b"cat: can't open")
        enter(screen, b"exit", b"", prompt("[1] "))
        end(screen, 1)


@limit(600)
def test_marks_and_escape_sequences():
    """What programs print is output, whatever it looks like; the next line is still the shell's."""
    with sandbox():
        screen = attach()
        screen.expect(prompt())
        token = "0123456789abcdef" * 2
        for mark in (f"D;{token};0;1;/forged", f"P;{token};", f"C;{token};", "D;0;1;/", f"D;{token}"):
            enter(screen, f"printf '\\033]133;{mark}\\a'; echo on".encode(), f"\033]133;{mark}\aon\r\n".encode())
            screen.expect(prompt())
        # Half a mark of the shell's own, and then the end.
        enter(screen, b"printf '%.40s' \"$__cordon_c\"; sh -c 'echo; echo on'", b"\033]133;C;")
        screen.expect(b"\r\non\r\n")
        screen.expect(prompt())
        everything = "\\033[2J\\033[?1049h\\033[?1000h\\033[?2004h\\033]0;title\\a\\033[5n\\033P+q\\033\\\\\\0\\377"
        enter(screen, f"printf '{everything}'; echo on".encode(), b"\033[2J\033[?1049h")
        screen.expect(b"\0\377on\r\n")
        screen.expect(prompt())
        enter(screen, b"sh -c 'echo ready; exec cat'", b"ready")
        screen.type(b"typed\r")
        screen.expect(b"typed\r\ntyped\r\n")
        screen.type(b"\x1d")
        end(screen, 0, b"detached: shell 1 of box goes on")


@limit(300)
def test_keys_before_the_first_prompt():
    """Keys that end a program do not end the set-up of a new shell, and others wait for its prompt."""
    with sandbox():
        screen = attach()
        wait_until(lambda: screen.settings() != screen.before, "attach to take the keys")
        for _i in range(5):
            screen.type(b"\003\032\034")
        screen.type(b"echo ty''ped\r")
        # A line that says what it waits for, which the prompt replaces.
        _, _, rest = screen.expect(prompt()).partition(b"starting a shell in box ...")
        assert b"\r\033[K" in rest, rest
        screen.expect(b"typed\r\n")
        enter(screen, b"echo a''b", b"ab\r\n", prompt())
        screen.close()


@limit(600)
def test_shells_that_end():
    """A shell that becomes another program, closes its terminal, or is killed: attach ends with its status."""
    with sandbox():
        # Another program has the terminal as the shell had it.
        screen = attach()
        enter(screen, b"exec sh -c 'echo ready; read x; echo \"<$x>\"; exec sleep 1000'", b"ready", prompt())
        screen.type(b"typed\r")
        screen.expect(b"\n<typed>\r\n")
        screen.type(b"\x03")
        end(screen, 128 + signal.SIGINT)
        # A program without a terminal is hung up. A shell may read the end of its input first, and exit.
        for line, statuses in ((b"exec 0<&- 1>&- 2>&-", (0, 128 + signal.SIGHUP)),
                               (b"exec sleep 1000 </dev/null >/dev/null 2>&1", (128 + signal.SIGHUP,))):
            screen = attach()
            enter(screen, line, b"", prompt())
            assert screen.wait() in statuses, screen.output
            end(screen, screen.popen.returncode)
            assert b"detached" not in screen.output, screen.output
        # Killed from outside, while a line is edited and while a program runs.
        for line, shown in ((b"echo ha", b"echo ha"), (b"sh -c 'echo ready; exec sleep 1000'\r", ENTERED + b"ready")):
            screen = attach()
            enter(screen, b"echo pid $$", b"pid ", prompt())
            pid = re.match(rb"\d+", screen.expect(b"\r\n")).group().decode()
            screen.expect(prompt())
            screen.type(line)
            screen.expect(shown)
            execute("box", "kill", "-9", pid).expect(0)
            end(screen, 128 + signal.SIGKILL)
        # The shell of a script.
        call("attach", stdin=b"kill -9 $$\necho no\n").expect(128 + signal.SIGKILL, b"", b"")
        call("attach", stdin=b"exec sh -c 'echo other; exit 6'\necho no\n").expect(6, b"other\n", b"")
        call("attach", stdin=b"exec >&- 2>&-\n(exit 7)\n").expect(7, b"", b"")
        assert ps()["box"]["jobs"] == []
        screen = attach()
        enter(screen, b"exit 3", b"", prompt())
        end(screen, 3)


@limit(600)
def test_the_monitor_is_killed():
    """Attach says so in one line and restores the terminal, at the prompt and while a program runs; also a script."""
    with sandbox() as pid:
        edits, runs = attach(), attach("--new")
        enter(runs, b"sh -c 'echo ready; exec sleep 1000'", b"ready", prompt())
        edits.expect(prompt())
        edits.type(b"echo ha")
        edits.expect(b"ha")
        script = Process("attach", "box")
        script.write(b"sh -c 'echo ready; exec sleep 1000'\n")
        script.wait_output(b"ready\n")
        assert runs.settings() != runs.before != edits.settings()
        os.kill(pid, signal.SIGKILL)
        for screen in (edits, runs):
            end(screen, 125, b"cordon: the sandbox has ended")
            assert screen.output.count(b"cordon:") == 1, screen.output
        script.wait().expect(125, b"ready\n", b"cordon: the sandbox has ended\n")
        # The kernel closes what a killed process had in any order: its sockets before its lock, too.
        wait_until(lambda: "box" not in ps(), "the sandbox to be gone")


class Page(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"served")


@limit(900)
def test_twenty_operators():
    """Each has a shell of its own; all see each question, and who or what decided it."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_port
    with sandbox("box", "--policy", write("p", f"policy 1\nnet ask tcp host:{port}\n")):
        screens = []
        for i in range(20):
            screens.append(attach("--new"))
            enter(screens[i], b"N=%d" % i, b"", prompt())
            screens[i].expect(prompt())

        def ask(number):
            probe = executing("box", "wget", "-qO-", f"http://host:{port}/")
            for screen in screens:
                screen.expect(b"%d: tcp host " % number)
                screen.expect(b":allow %d or :deny %d" % (number, number))
            return probe

        def decided(number):
            how = set()
            for screen in screens:
                screen.expect(b"question %d is decided: " % number)
                how.add(screen.expect(b"\n").strip().decode())
            assert len(how) == 1, how
            return how.pop()

        probe = ask(1)
        screens[7].type(b":allow 1\r")
        assert re.fullmatch(rf"once by uid {os.geteuid()}, process \d+", decided(1))
        probe.wait().expect(0, b"served")
        # One operator is faster than another, who is told so.
        probe = ask(2)
        screens[3].type(b":deny 2\r")
        assert decided(2).startswith("no by uid")
        assert probe.wait().status != 0
        enter(screens[4], b":allow 2", b"cordon: question 2 is not open: 'cordon ask box' shows the open ones")
        screens[4].expect(prompt("[125] "))
        # A policy that leaves the question open, and one that decides it.
        probe = ask(3)
        call("policy", "add", "box", "net deny tcp host:1").expect(0)
        screens[5].type(b":allow 3\r")
        assert decided(3).startswith("once by uid")
        probe.wait().expect(0, b"served")
        probe = ask(4)
        call("policy", "add", "box", f"net deny tcp host:{port}").expect(0)
        assert decided(4) == "the policy was changed and denies it"
        assert probe.wait().status != 0
        enter(screens[6], b":allow 4", b"cordon: question 4 is not open: 'cordon ask box' shows the open ones")
        screens[6].expect(prompt("[125] "))
        # Each has its own shell still; and there is a bound.
        for i, screen in enumerate(screens):
            enter(screen, b"echo own $N", b"own %d\r\n" % i)
        more = [Shell() for _i in range(12)]
        screen = attach("--new")
        end(screen, 125, b"cordon: 32 shell sessions are running already")
        more[0].line(b"exit")
        more[0].rest()
        screen = attach("--new")
        enter(screen, b"exit", b"", prompt())
        end(screen, 0)
        for shell in more:
            shell.close()
        for screen in screens:
            screen.type(b"\x1d")
            end(screen, 0, b"detached")
    server.shutdown()
    server.server_close()
