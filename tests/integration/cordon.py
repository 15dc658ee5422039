# SPDX-License-Identifier: Apache-2.0
"""Common code of the integration tests: run build/cordon as a user would and collect its output, status and usage."""
import ctypes
import fcntl
import glob
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import threading
import time

import pytest
from isolation import IN_LAB, TIME_SCALE  # noqa: F401  (IN_LAB is for tests)

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("CORDON_BUILD", os.path.join(TOP, "build"))
PROGRAM = os.path.join(BUILD, "cordon")
HELPERS = os.path.join(BUILD, "tests", "integration")
INITRAMFS = os.path.join(BUILD, "guest", "initramfs")
VMLINUX = os.path.join(BUILD, "guest", "vmlinux")

FAILED, TIMED_OUT = 125, 124

Skip = pytest.skip.Exception                # raised by a test for which this host lacks something; the text says what
limit = pytest.mark.timeout                 # @limit(SECONDS): a time limit other than that of pytest.ini


def _cpu_flags():
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("flags"):
                return set(line.split())
    return set()


CPU_FLAGS = _cpu_flags()
HARDWARE = bool({"vmx", "svm"} & CPU_FLAGS)     # only to choose sizes: a host that emulates ring 0 is slow
MIB = 1 << 20
SMALLEST_GUEST_KIB = 60 * 1024


def many(usual, whole):
    """`usual`, or `whole` with CORDON_TEST_WHOLE=1: it takes hours where ring 0 is emulated."""
    return whole if os.environ.get("CORDON_TEST_WHOLE") else usual


def need_whole():
    """Skips a test that takes minutes where ring 0 is emulated, for the most part in loading programs' first pages."""
    if not HARDWARE and not os.environ.get("CORDON_TEST_WHOLE"):
        raise Skip("too long where ring 0 is emulated: CORDON_TEST_WHOLE=1 runs it")


def small_guest(whole="64M"):
    """Options for tests that fill memory. A host that emulates ring 0 takes milliseconds to give a program a page, so
    the guest's kernel uses only 40 MiB, less than --memory accepts: 20 MiB are free. `whole`: as in many()."""
    return many(["--memory", "64M", "--cmdline-append", "mem=40M"], ["--memory", whole])


# A command that takes memory until it ends. It makes few system calls and writes each page once.
EAT_MEMORY = "awk 'BEGIN { for (;;) a[n++] = sprintf(\"%100000s\", \"\") }'"


def need_program(*names):
    for name in names:
        if not shutil.which(name):
            raise Skip(f"needs the program {name}")


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


class Result:
    """Result of a finished cordon: status (negative: killed by that signal), stdout, stderr, seconds,
    peak_rss (KiB, guest memory included), private (KiB, the highest sample of private memory)."""

    def __init__(self, argv, status, stdout, stderr, seconds, peak_rss, private):
        self.argv, self.status, self.stdout, self.stderr = argv, status, stdout, stderr
        self.seconds, self.peak_rss, self.private = seconds, peak_rss, private

    def __repr__(self):
        def short(data):
            return data if data is None or len(data) < 1500 else data[:300] + b" ... " + data[-1200:]
        return (f"{' '.join(map(str, self.argv))[:400]}\n  status {self.status} after "
                f"{self.seconds:.1f} s\n  stdout {short(self.stdout)!r}\n  stderr {short(self.stderr)!r}")

    def expect(self, status=0, stdout=None, stderr=None):
        """Assert the values given; return self."""
        assert self.status == status, f"status {status} expected: {self!r}"
        assert stdout is None or self.stdout == stdout, f"stdout {stdout!r} expected: {self!r}"
        assert stderr is None or self.stderr == stderr, f"stderr {stderr!r} expected: {self!r}"
        return self

    def expect_error(self, *words, status=FAILED, lines=1):
        """Cordon itself failed: its exit status, nothing on stdout, and on stderr a line that has all of `words`."""
        assert self.status == status, f"status {status} expected: {self!r}"
        assert not self.stdout, f"nothing expected on stdout: {self!r}"
        text = self.stderr.decode("utf-8", "replace")
        assert text.startswith("cordon: ") and text.endswith("\n"), f"`cordon: ...` expected: {self!r}"
        assert lines is None or text.count("\n") == lines, f"{lines} line(s) expected: {self!r}"
        for word in words:
            assert word.lower() in text.lower(), f"{word!r} expected on stderr: {self!r}"
        return self


def private_kib(pid):
    """Private (anonymous) memory of a process without the guest's memory; 0 if the process is gone.

    A restored guest has its memory mapped privately, so the pages that it writes count as the
    monitor's: mappings as large as a guest are left out.
    """
    total, size = 0, 0
    try:
        with open(f"/proc/{pid}/smaps") as smaps:
            for line in smaps:
                if line.startswith("Size:"):
                    size = int(line.split()[1])
                elif line.startswith("Anonymous:") and size < SMALLEST_GUEST_KIB:
                    total += int(line.split()[1])
    except (OSError, ValueError):
        pass
    return total


def _environment(extra):
    env = dict(os.environ)
    env.update(extra or {})
    return {k: v for k, v in env.items() if v is not None}


class Process:
    """A running cordon (or another program: `program`). Its output is collected from the start."""

    def __init__(self, *args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                 env=None, wrap=(), program=PROGRAM, session=False, cwd=None):
        self.argv = [*wrap, program, *args]
        self.start = time.monotonic()
        self.private, self._peak, self._status = 0, 0, None
        self.popen = subprocess.Popen(self.argv, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0,
                                      env=_environment(env), start_new_session=session, cwd=cwd)
        self.pid = self.popen.pid
        self.output = {"stdout": bytearray(), "stderr": bytearray()}
        self._threads = []
        for name in self.output:
            stream = getattr(self.popen, name)
            if stream:
                thread = threading.Thread(target=self._collect, args=(name, stream), daemon=True)
                thread.start()
                self._threads.append(thread)
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def _collect(self, name, stream):
        while data := stream.read(1 << 16):
            self.output[name] += data

    def _sample(self):
        while self._status is None:
            self.private = max(self.private, private_kib(self.pid))
            time.sleep(0.25)

    def feed(self, data):
        """Write all of `data` (bytes, or an iterable of bytes) to stdin and close it, in a thread."""
        def write():
            try:
                for part in ([data] if isinstance(data, (bytes, bytearray)) else data):
                    view = memoryview(part)
                    while view:
                        view = view[self.popen.stdin.write(view):]
            except OSError:
                pass                        # a command need not read its input
            finally:
                try:
                    self.popen.stdin.close()
                except OSError:
                    pass
        thread = threading.Thread(target=write, daemon=True)
        thread.start()

    def write(self, data):
        self.popen.stdin.write(data)

    def wait_output(self, text, stream="stdout", seconds=120):
        """Wait until `text` appears on the stream, or fail."""
        def there():
            assert text in self.output[stream] or self.poll() is None, \
                f"ended without {text!r}: {self.result()!r}"
            return text in self.output[stream]
        wait_until(there, f"{text!r} on {stream} of {self.argv}", seconds)

    def poll(self):
        if self._status is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self._ended(status, usage)
        return self._status

    def _ended(self, status, usage):
        self._peak = usage.ru_maxrss
        self._status = self.popen.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.monotonic() - self.start

    def signal(self, number):
        os.kill(self.pid, number)

    def wait(self):
        """Wait for the process to end (the test's time limit bounds it) and return the Result."""
        if self._status is None:
            _pid, status, usage = os.wait4(self.pid, 0)
            self._ended(status, usage)
        return self.result()

    def result(self):
        for thread in self._threads:
            thread.join(10)
        return Result(self.argv, self._status, bytes(self.output["stdout"]),
                      bytes(self.output["stderr"]), self.seconds, self._peak, self.private)


def wait_until(condition, what, seconds=120):
    deadline = time.monotonic() + seconds * TIME_SCALE
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds * TIME_SCALE:.0f} s in vain for {what}"
        time.sleep(0.05)


def call(*args, stdin=b"", **keywords):
    """Run cordon until it ends. stdin: bytes, an iterable of bytes, or a file (descriptor)."""
    piped = isinstance(stdin, (bytes, bytearray)) or hasattr(stdin, "__next__")
    process = Process(*args, stdin=subprocess.PIPE if piped else stdin, **keywords)
    if piped:
        process.feed(stdin)
    return process.wait()


def run(*command, options=(), **keywords):
    """Run `cordon run OPTIONS -- COMMAND` until it ends."""
    return call("run", *options, "--", *command, **keywords)


def start(*command, options=(), **keywords):
    """Start `cordon run OPTIONS -- COMMAND` and return the Process."""
    return Process("run", *options, "--", *command, **keywords)


PROMPT = b"@@ "         # prompt of a shell on a Terminal, see shell(); no test types it


class Terminal:
    """cordon on its own pseudo terminal, as the leader of a session."""

    def __init__(self, *args, rows=24, columns=80, env=None):
        self.argv = [PROGRAM, *args]
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.slave = slave                  # kept open to read its settings after the end
        self.before = termios.tcgetattr(slave)
        self.popen = subprocess.Popen(self.argv, stdin=slave, stdout=slave, stderr=slave,
                                      env=_environment(env), preexec_fn=self._take)
        self.pid = self.popen.pid
        self.output = b""

    @staticmethod
    def _take():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settings(self):
        return termios.tcgetattr(self.slave)

    def type(self, data):
        os.write(self.master, data)

    def shell(self, line, end=b"\n"):
        """Type a line at the prompt of a shell that runs with PS1=PROMPT. Waits for the prompt first: a shell
        that edits lines discards what was typed before."""
        self.expect(PROMPT)
        self.type(line + end)

    def _read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                self.output += os.read(self.master, 65536)
            except OSError:
                pass

    def expect(self, text, seconds=120):
        """Wait until `text` appears. Removes the output up to and including it from self.output and returns it."""
        deadline = time.monotonic() + seconds * TIME_SCALE
        while text not in self.output:
            assert time.monotonic() < deadline, f"no {text!r} in {self.output!r}"
            assert self.popen.poll() is None or select.select([self.master], [], [], 0)[0], \
                f"ended with {self.popen.returncode} without {text!r}: {self.output!r}"
            self._read(0.1)
        before, _text, self.output = self.output.partition(text)
        return before + text

    def wait(self):
        """Wait for the end and return the exit status. The rest of the output is in self.output."""
        while self.popen.poll() is None:
            self._read(0.1)
        self._read(0)
        return self.popen.returncode

    def close(self):
        os.close(self.master)


# --- files of a test -----------------------------------------------------------------------------

def work(name=""):
    """A path in the test's working directory."""
    return os.path.join(os.environ["CORDON_TEST_BASE"], "work", name)


def write(name, text):
    """Write a file there; return its path."""
    os.makedirs(os.path.dirname(work(name)), exist_ok=True)
    with open(work(name), "w", encoding="utf-8") as file:
        file.write(text)
    return work(name)


# --- other environments --------------------------------------------------------------------------

def in_namespace(script):
    """A `wrap` that runs the program after `script` (sh) in its own mount namespace."""
    need_program("unshare", "mount")
    flags = ["-m"] if os.geteuid() == 0 else ["-r", "-m"]
    wrap = ["unshare", *flags, "--propagation", "private"]
    if subprocess.run(wrap + ["true"], capture_output=True).returncode:
        raise Skip("needs mount namespaces")
    return [*wrap, "sh", "-c", f'{script}\nexec "$@"', "sh"]


def as_nobody():
    """A `wrap` that runs the program as a user without privileges."""
    need_root()
    need_program("setpriv")
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]


def audit_log(path):
    """All entries of an audit log, from both of its files, ordered by number."""
    entries = []
    for name in (path, path + ".denials"):
        with open(name, encoding="utf-8") as file:
            entries += [json.loads(line) for line in file]
    return sorted(entries, key=lambda entry: entry["seq"])


def scratch(name, data=b"", mode=0o644):
    """A file in the test's working directory, removed with the test."""
    path = os.path.join(os.environ["CORDON_TEST_BASE"], "work", name)
    with open(path, "wb") as out:
        out.write(data)
    os.chmod(path, mode)
    return path


def pattern(size, seed=1):
    """`size` bytes without a short period, the same in every run."""
    block = bytes((i * i * 31 + i * seed + (i >> 8) * 7) & 0xFF for i in range(65521))
    whole = block * (size // len(block)) + block[:size % len(block)]
    return whole


# --- helper programs for the guest ---------------------------------------------------------------

def prepare():
    """Build the static programs that tests put into a guest, unless they are up to date."""
    for name in sorted(os.listdir(os.path.join(HERE, "programs"))):
        if name.endswith(".c") and "_" not in name:     # NAME_PART.c is a part of NAME
            program(name[:-2])


def program(name):
    """Path of the static program built from programs/NAME.c and programs/NAME_*.c."""
    sources = sorted(glob.glob(os.path.join(HERE, "programs", name + ".c")) +
                     glob.glob(os.path.join(HERE, "programs", name + "_*.c")))
    target = os.path.join(HELPERS, name)
    inputs = sources + glob.glob(os.path.join(HERE, "programs", "*.h")) + [os.path.join(TOP, "vmm", "agent", "wire.h")]
    newest = max(os.path.getmtime(path) for path in inputs if os.path.exists(path))
    if os.path.exists(target) and os.path.getmtime(target) >= newest:
        return target
    os.makedirs(HELPERS, exist_ok=True)
    handle, new = tempfile.mkstemp(dir=HELPERS)
    os.close(handle)
    compiler = "musl-gcc" if shutil.which("musl-gcc") else os.environ.get("CC", "cc")
    try:
        subprocess.run([compiler, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2",
                        "-static", "-Wl,--no-dynamic-linker", "-I", TOP, "-o", new, *sources, "-lpthread"], check=True)
        os.chmod(new, 0o755)
        os.rename(new, target)
    except BaseException:
        os.unlink(new)
        raise
    return target


def become(name):
    """prctl(PR_SET_NAME), for tests that look for processes by name."""
    ctypes.CDLL(None).prctl(15, name.encode())


def alive(pid):
    """Whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def has_vm(pid):
    """Whether a process holds a KVM virtual machine."""
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:kvm-vm":
                    return True
            except OSError:
                pass
    except OSError:
        pass
    return False
