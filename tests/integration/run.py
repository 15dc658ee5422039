#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the integration tests: run.py [--filter TEXT]... [-j N] [--list].

A test is a function test_* in a file test_*.py of this directory. Each one runs in a process of its own,
with an own TMPDIR, XDG_RUNTIME_DIR, XDG_STATE_HOME and working directory, and a time limit whose only
meaning is that a hang is a failure. When it is over, nothing that it started may be left: no process (the
supervisor is their reaper, so none can hide by losing its parent; a VM lives no longer than its process) and
no file in TMPDIR or XDG_RUNTIME_DIR. In XDG_STATE_HOME there may be records of what has ended, so many as
`vmm/control/record_root.c` lets there be, and nothing that was being made or removed.

One line a test, then `N passed, N failed, N skipped`. Exit status 1 if a test failed.

A machine with two busy cores can make a test fail that is right. So the first few tests that fail are run
once more at the end, alone; one that passes then counts as passed and is named in a line `flaky`, since it
or what it tests has a race that someone should find. More failures than that are failures.
"""
import argparse
import ctypes
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import cordon  # noqa: E402  (found by the path above)

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
PASS, FAIL, SKIP = "ok", "not ok", "skip"
SKIP_STATUS = 77
PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)      # and subprocess restores them
SECOND_TRIES = 3        # failed tests that are tried again; more than this is no accident
LEAVE_SECONDS = 10      # how long what a test started may take to go after its end
prctl = ctypes.CDLL(None).prctl


def discover():
    """All tests as (name, function), in the order of files and lines."""
    tests = []
    for entry in sorted(os.listdir(HERE)):
        if not entry.startswith("test_") or not entry.endswith(".py"):
            continue
        module = importlib.import_module(entry[:-3])
        for name, value in vars(module).items():
            if name.startswith("test_") and callable(value):
                tests.append((f"{entry[5:-3]}.{name[5:]}", value))
    return tests


# --- one test: supervisor and child ------------------------------------------------------------

def descendants(root):
    """Living processes below `root` as {pid: command line}."""
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


def kill_descendants():
    while True:
        left = descendants(os.getpid())
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.05)
        reap()


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def brief_traceback():
    """The lines of the test files that led to the current exception, and what it says."""
    kind, value, trace = sys.exc_info()
    frames = [f"{os.path.basename(frame.filename)}:{frame.lineno}: {frame.line}"
              for frame in traceback.extract_tb(trace)
              if os.path.basename(frame.filename).startswith("test_")]
    return "\n".join(frames + traceback.format_exception_only(kind, value)).rstrip()


def child_main(function, report_fd):
    """In the test's own process: run the function, write what happened to report_fd."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    status, text = 0, ""
    try:
        function()
    except cordon.Skip as skip:
        status, text = SKIP_STATUS, str(skip)
    except BaseException:
        status, text = 1, brief_traceback()
    os.write(report_fd, text.encode()[-60000:])
    os._exit(status)


def left_files(directory):
    """Files and non-empty directories below `directory`; an empty directory harms nobody."""
    found = []
    for path, _dirs, files in os.walk(directory):
        found += [os.path.relpath(os.path.join(path, name), directory) for name in files]
        if path.count(os.sep) - directory.count(os.sep) > 1 and not files and not _dirs:
            found.append(os.path.relpath(path, directory) + "/")
    return found


RECORDS_MAX, RECORDS_BYTES_MAX = 168 + 2, (512 + 200) << 20       # see record_root.c; what ended last may be beyond


def state_problems(directory):
    """What the records of a test must not be: half, or more than their bounds."""
    names = os.listdir(directory) if os.path.isdir(directory) else []
    size = sum(os.path.getsize(os.path.join(path, name))
               for path, _dirs, files in os.walk(directory) for name in files)
    problems = [f"left in state: {name}" for name in names
                if name.startswith(".") or not os.path.isfile(os.path.join(directory, name, "record.json"))]
    if len(names) > RECORDS_MAX or size > RECORDS_BYTES_MAX:
        problems.append(f"{len(names)} records of {size} bytes")
    return problems


def supervise(function, base):
    """Run one test below this process and judge what it leaves. Returns (verdict, text)."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def stop(_number, _frame):
        kill_descendants()
        os._exit(1)
    signal.signal(signal.SIGTERM, stop)

    read_fd, write_fd = os.pipe()
    limit = getattr(function, "limit", cordon.DEFAULT_LIMIT) * cordon.TIME_SCALE
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(read_fd)
        child_main(function, write_fd)
    os.close(write_fd)
    status = None
    while status is None and time.monotonic() - start < limit:
        pid, wait_status = os.waitpid(child, os.WNOHANG)
        if pid:
            status = os.waitstatus_to_exitcode(wait_status)
        else:
            time.sleep(0.02)
    if status is None:
        left = descendants(os.getpid())
        kill_descendants()
        return FAIL, f"hangs: not over after {limit:.0f} s; running: {list(left.values())}"

    os.set_blocking(read_fd, False)         # what a test leaves running may hold the other end
    try:
        text = os.read(read_fd, 1 << 16).decode("utf-8", "replace")
    except BlockingIOError:
        text = ""
    os.close(read_fd)
    problems = []
    deadline = time.monotonic() + LEAVE_SECONDS * cordon.TIME_SCALE
    while (left := descendants(os.getpid())) and time.monotonic() < deadline:
        reap()
        time.sleep(0.02)
    if left:
        problems.append(f"left running: {list(left.values())}")
        kill_descendants()
    for name in ("run", "tmp"):
        files = left_files(os.path.join(base, name))
        if files:
            problems.append(f"left in {name}: {files[:10]}")
    problems += state_problems(os.path.join(base, "state", "cordon"))
    if status == SKIP_STATUS and not problems:
        return SKIP, text
    if status != 0 or problems:
        if status not in (0, 1, SKIP_STATUS):
            problems.append(f"the test's process ended with {status}")
        return FAIL, "\n".join([text.rstrip()] + problems).strip()
    return PASS, ""


def one(name):
    function = dict(discover())[name]
    verdict, text = supervise(function, os.environ["CORDON_TEST_BASE"])
    print(json.dumps([verdict, text]))
    return 0


# --- all tests -----------------------------------------------------------------------------------

class Run:
    def __init__(self, tests, top):
        self.top = top                      # all files of this run lie below it
        self.cache = os.path.join(top, "cache")     # templates, for all tests
        self.supervisors = set()
        # Those that take long come first, so that none is left alone at the end.
        self.todo = sorted(tests, key=lambda test: -getattr(test[1], "limit", 0))
        self.counts = {PASS: 0, FAIL: 0, SKIP: 0}
        self.failed = []                    # names
        self.lock = threading.Lock()
        self.stopping = False

    def work(self):
        while True:
            with self.lock:
                if not self.todo or self.stopping:
                    return
                name, _function = self.todo.pop(0)
            start = time.monotonic()
            verdict, text = self.run_one(name)
            with self.lock:
                self.counts[verdict] += 1
                if self.stopping:
                    return
                if verdict == FAIL:
                    self.failed.append(name)
                took = time.monotonic() - start
                line = f"{verdict} {name} ({took:.1f} s)"
                print(line + (f" {text}" if verdict == SKIP else ""), flush=True)
                if verdict == FAIL:
                    print("    " + text.replace("\n", "\n    "), flush=True)

    def try_again(self):
        """What failed, once more and alone."""
        if self.stopping or len(self.failed) > SECOND_TRIES:
            return
        for name in self.failed:
            verdict, text = self.run_one(name)
            if verdict == PASS:
                self.counts[FAIL] -= 1
                self.counts[PASS] += 1
                print(f"flaky {name}: failed above, passes alone", flush=True)
            else:
                print(f"{verdict} {name}, also alone\n    " + text.replace("\n", "\n    "), flush=True)

    def run_one(self, name):
        base = tempfile.mkdtemp(dir=self.top)
        os.chmod(base, 0o755)
        for sub, mode in (("run", 0o700), ("state", 0o700), ("tmp", 0o1777), ("work", 0o755)):
            os.mkdir(os.path.join(base, sub))
            os.chmod(os.path.join(base, sub), mode)
        env = dict(os.environ, CORDON_TEST_BASE=base, TMPDIR=os.path.join(base, "tmp"),
                   XDG_RUNTIME_DIR=os.path.join(base, "run"), XDG_STATE_HOME=os.path.join(base, "state"),
                   XDG_CACHE_HOME=self.cache)
        supervisor = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--one", name], env=env,
            cwd=os.path.join(base, "work"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.supervisors.add(supervisor)
        try:
            output = supervisor.communicate()[0]
            return tuple(json.loads(output.splitlines()[-1]))
        except (ValueError, IndexError):
            return FAIL, f"the supervisor ended with {supervisor.returncode}"
        finally:
            self.supervisors.discard(supervisor)
            shutil.rmtree(base, ignore_errors=True)

    def stop(self):
        """End what runs; each supervisor kills all that is below it."""
        self.stopping = True
        for supervisor in list(self.supervisors):
            supervisor.terminate()
        for supervisor in list(self.supervisors):
            supervisor.wait()


def default_signals():
    """Whoever started the tests may ignore signals, and what the tests start would inherit that."""
    for number in signal.valid_signals():
        if number not in PYTHON_IGNORES and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", action="append", default=[], metavar="TEXT",
                        help="only tests with TEXT in their name; may be given more than once")
    parser.add_argument("-j", type=int, default=2, metavar="N", help="tests at once (2)")
    parser.add_argument("--list", action="store_true", help="only show the names")
    parser.add_argument("--prepare", action="store_true",
                        help="only build the helper programs of the tests")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    default_signals()
    if args.one:
        return one(args.one)
    if args.prepare:
        cordon.prepare()
        return 0
    tests = [t for t in discover() if not args.filter or any(f in t[0] for f in args.filter)]
    if args.list:
        print("\n".join(name for name, _function in tests))
        return 0
    if not os.access(cordon.PROGRAM, os.X_OK):
        sys.exit(f"{cordon.PROGRAM} is missing: run make first")
    cordon.prepare()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    top = tempfile.mkdtemp(prefix="cordon-test.")
    os.chmod(top, 0o755)                    # tests that run as another user must get through
    try:
        os.mkdir(os.path.join(top, "cache"))
        return run_all(Run(tests, top), args.j)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def run_all(run, jobs):
    threads = [threading.Thread(target=run.work, daemon=True) for _ in range(max(jobs, 1))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
        run.try_again()
    except KeyboardInterrupt:
        run.stop()
        print("interrupted", flush=True)
    counts = run.counts
    print(f"{counts[PASS]} passed, {counts[FAIL]} failed, {counts[SKIP]} skipped", flush=True)
    return 1 if counts[FAIL] or run.stopping else 0


if __name__ == "__main__":
    sys.exit(main())
