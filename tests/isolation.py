# SPDX-License-Identifier: Apache-2.0
"""Each test in a process and directories of its own, and a check of what it leaves.

A conftest.py imports `room` and the two hooks from here; then every test below its directory runs in a forked
process with its own session, TMPDIR, XDG_RUNTIME_DIR, XDG_STATE_HOME and working directory. When the test is
over, nothing that it started may be left:

- no process: the pytest worker is their subreaper, so a process that loses its parent still shows; a VM lives
  no longer than its process;
- no file in TMPDIR or XDG_RUNTIME_DIR;
- in XDG_STATE_HOME only complete records of what has ended, within the bounds of vmm/control/record_root.c.

XDG_CACHE_HOME (templates) is shared by all tests of a run.
"""
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

import pytest

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)       # subprocess restores them in a child
REPORT_BYTES = 60000            # less than a pipe holds
LEAVE_SECONDS = 10              # how long processes may take to go after the test's end
# 168 records of at most 512 MiB; the record of what ended last may exceed it: see record_root.c.
RECORDS_MAX, RECORDS_BYTES_MAX = 168 + 2, (512 + 200) << 20
IN_LAB = bool(os.environ.get("CORDON_LAB"))
TIME_SCALE = float(os.environ.get("CORDON_TEST_SCALE", "4" if IN_LAB else "1"))
prctl = ctypes.CDLL(None).prctl


# --- processes ---------------------------------------------------------------------------------

def living_parents():
    """{pid: parent's pid} of all processes but zombies."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
            if fields[0] not in b"ZX":
                parents[int(entry)] = int(fields[1])
        except (OSError, IndexError):
            continue
    return parents


def descendants():
    """Living processes below this one as {pid: command line}."""
    parents, root = living_parents(), os.getpid()
    found = {}
    for pid in parents:
        above = pid
        while above in parents and above != root:
            above = parents[above]
        if above == root and pid != root:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    found[pid] = cmdline.read().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                pass
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def kill_descendants():
    while left := descendants():
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.05)
        reap()


def become_reaper(config):
    """Adopt the orphans of all processes below this one; end a worker with its controller."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if hasattr(config, "workerinput"):
        def stop(_number, _frame):
            kill_descendants()
            os._exit(1)
        signal.signal(signal.SIGTERM, stop)
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


# --- what a test leaves --------------------------------------------------------------------------

def left_files(directory):
    """Files below `directory`, and empty directories more than one level below it."""
    found = []
    for path, dirs, files in os.walk(directory):
        found += [os.path.relpath(os.path.join(path, name), directory) for name in files]
        if path.count(os.sep) - directory.count(os.sep) > 1 and not files and not dirs:
            found.append(os.path.relpath(path, directory) + "/")
    return found


def state_problems(directory):
    """Incomplete records, or more records than their bounds allow."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    size = sum(os.path.getsize(os.path.join(path, name))
               for path, _dirs, files in os.walk(directory) for name in files)
    problems = [f"left in state: {name}" for name in names
                if name.startswith(".") or not os.path.isfile(os.path.join(directory, name, "record.json"))]
    if len(names) > RECORDS_MAX or size > RECORDS_BYTES_MAX:
        problems.append(f"{len(names)} records of {size} bytes")
    return problems


class Room:
    """The directories of one test."""

    def __init__(self, top):
        self.base = tempfile.mkdtemp(dir=top)
        self.cache = os.path.join(top, "cache")
        os.chmod(self.base, 0o755)          # tests that run as another user must get through
        for sub, mode in (("run", 0o700), ("state", 0o700), ("tmp", 0o1777), ("work", 0o755)):
            os.mkdir(self.path(sub))
            os.chmod(self.path(sub), mode)

    def path(self, sub):
        return os.path.join(self.base, sub)

    def enter(self):
        """Make this process's environment and working directory those of the test."""
        for name in [name for name in os.environ if name.startswith("PYTEST_")]:
            del os.environ[name]
        os.environ.update(CORDON_TEST_BASE=self.base, TMPDIR=self.path("tmp"), XDG_RUNTIME_DIR=self.path("run"),
                          XDG_STATE_HOME=self.path("state"), XDG_CACHE_HOME=self.cache)
        tempfile.tempdir = None
        os.chdir(self.path("work"))

    def problems(self):
        """What the test has left, as messages; processes get LEAVE_SECONDS to end and are then killed."""
        problems = []
        deadline = time.monotonic() + LEAVE_SECONDS * TIME_SCALE
        while (left := descendants()) and time.monotonic() < deadline:
            reap()
            time.sleep(0.02)
        if left:
            problems.append(f"left running: {list(left.values())}")
            kill_descendants()
        reap()
        for name in ("run", "tmp"):
            files = left_files(self.path(name))
            if files:
                problems.append(f"left in {name}: {files[:10]}")
        return problems + state_problems(os.path.join(self.path("state"), "cordon"))

    def remove(self):
        shutil.rmtree(self.base, ignore_errors=True)


@pytest.fixture(autouse=True)
def room(request):
    """The test's directories; a test that leaves anything fails."""
    become_reaper(request.config)
    place = Room(request.config.cordon_top)
    try:
        yield place
        problems = place.problems()
    finally:
        kill_descendants()
        place.remove()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


# --- the test's own process ----------------------------------------------------------------------

def brief_traceback():
    """The lines of test files that led to the current exception, and its message."""
    kind, value, trace = sys.exc_info()
    frames = [f"{os.path.basename(frame.filename)}:{frame.lineno}: {frame.line}"
              for frame in traceback.extract_tb(trace)
              if os.path.basename(frame.filename).startswith(("test_", "bad_"))]
    return "\n".join(frames + traceback.format_exception_only(kind, value)).rstrip()


def default_signals():
    """Undo what pytest or its caller ignores or handles: programs that the test starts would inherit that."""
    for number in signal.valid_signals():
        if number not in PYTHON_IGNORES and signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def child_main(function, arguments, place, report_fd):
    """In the test's own process: run the function, then write its verdict and a text to report_fd."""
    verdict, text = b"p", ""
    try:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        signal.setitimer(signal.ITIMER_REAL, 0)
        default_signals()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        place.enter()
        function(**arguments)
    except pytest.skip.Exception as skip:
        verdict, text = b"s", str(skip)
    except BaseException:
        verdict, text = b"f", brief_traceback()
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(report_fd, verdict + text.encode("utf-8", "replace")[-REPORT_BYTES:])
    os._exit(0)


def wait_for(child):
    """Exit status of the test's process, within pytest-timeout's limit."""
    try:
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
    except pytest.fail.Exception as limit:
        problem = f"hangs: {limit}; running: {list(descendants().values())}"
        kill_descendants()
    except BaseException:
        kill_descendants()
        raise
    pytest.fail(problem, pytrace=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run the test function in a process of its own."""
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    read_fd, write_fd = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_fd)
        child_main(pyfuncitem.obj, arguments, pyfuncitem.funcargs["room"], write_fd)
    os.close(write_fd)
    try:
        status = wait_for(child)
        os.set_blocking(read_fd, False)     # a process that the test has left may hold the other end
        try:
            report = os.read(read_fd, 1 << 16)
        except BlockingIOError:
            report = b""
    finally:
        os.close(read_fd)
    text = report[1:].decode("utf-8", "replace")
    if report[:1] == b"s" and status == 0:
        pytest.skip(text)
    if report[:1] != b"p" or status != 0:
        if status != 0 or not report:
            text = f"{text}\nthe test's process ended with {status}".strip()
        pytest.fail(text, pytrace=False)
    return True
