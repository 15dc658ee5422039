# SPDX-License-Identifier: Apache-2.0
"""What probes work with: programs, directories, sizes, and processes that cannot outlive the run."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from harness import host
from harness.model import NotMeasured, Problem, TimedOut

PR_SET_CHILD_SUBREAPER = 36
# A line of the time line of `cordon run --verbose`: ms since the start, ms since the previous mark, mark.
MARK = re.compile(r"^cordon: +([0-9.]+) ms +\+ *([0-9.]+) ms +(.+)$")
COUNTER = re.compile(r"^cordon: KVM (\w+) ([0-9]+)$")
REASONS = "cordon: KVM exits by reason: "


def last_line(text):
    """The last line of what a program wrote, short and without control characters."""
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    return "".join(c if c.isprintable() else "?" for c in lines[-1])[:200] if lines else "no message"


def find_program(name, package):
    """The path of a program, or NotMeasured with the package that has it."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        raise NotMeasured(f"{name} is not installed: Debian has it in {package}")
    return path


class Bench:
    """One run of the benchmark: its settings, its private directories, its processes."""

    def __init__(self, cordon, programs, quick=False, lab=False):
        self.cordon = cordon            # path of the program
        self.programs = programs        # directory of the benchmark's own programs
        self.quick = quick
        self.lab = lab
        report = host.doctor(cordon)
        self.host = host.facts(report)
        self.problem = host.problem(report)     # why no sandbox can run here
        self.emulated = host.emulated(self.host)
        self.processes = set()          # Popen objects that run
        self.has_template = False       # of a sandbox with default options
        # Of descendants that lose their parent, this process becomes the parent: their processor time
        # is then ours, and none can be left behind.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.environment = dict(os.environ)
        try:
            self.directory = tempfile.mkdtemp(prefix="cordon-bench.")
        except OSError as error:
            raise Problem(f"no directory for temporary files: {error.strerror}: set TMPDIR") from None
        try:
            self.make_directories()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def make_directories(self):
        """The user's templates, sandboxes and logs stay as they are."""
        for variable in ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
            path = self.path(variable.split("_")[1].lower())
            os.mkdir(path, 0o700)
            self.environment[variable] = path
        self.environment["TMPDIR"] = self.path("tmp")
        os.mkdir(self.environment["TMPDIR"], 0o700)

    def path(self, *names):
        """A path in the run's own directory."""
        return os.path.join(self.directory, *names)

    def program(self, name):
        """The path of one of the benchmark's own programs."""
        path = os.path.join(self.programs, name)
        if not os.path.exists(path):
            raise NotMeasured(f"{path} is missing: run 'make' or install the package again")
        return path

    def size(self, whole, quick=None, emulated=None):
        """An amount: less for --quick, and where ring 0 is emulated. The least that applies."""
        sizes = [whole]
        if self.quick and quick is not None:
            sizes.append(quick)
        if self.emulated and emulated is not None:
            sizes.append(emulated)
        return min(sizes)

    # --- processes ----------------------------------------------------------------------------

    def start(self, argv, **options):
        """Starts a program in a process group of its own: a Popen that stop() or close() ends."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        options.setdefault("env", self.environment)
        try:
            process = subprocess.Popen(argv, process_group=0, **options)
        except OSError as error:
            raise NotMeasured(f"{argv[0]}: {error.strerror}") from None
        self.processes.add(process)
        return process

    def stop(self, process):
        """Ends a program of start() with its process group, at once."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()
        self.processes.discard(process)

    def run(self, argv, timeout=60, status=0, **options):
        """Runs a program to its end: (seconds, stdout, stderr). NotMeasured if it fails or takes too long."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        name = os.path.basename(argv[0])
        began = time.perf_counter()
        process = self.start(argv, **options)
        try:
            out, err = process.communicate(timeout=timeout)
            seconds = time.perf_counter() - began
        except subprocess.TimeoutExpired:
            raise TimedOut(f"{name} did not end within {timeout:.0f} s") from None
        finally:
            self.stop(process)
        if process.returncode != status:
            raise NotMeasured(f"{name} ended with status {process.returncode}: {last_line(err or out or b'')}")
        return seconds, out, err

    def reap(self):
        """Buries adopted processes that have ended."""
        known = {process.pid for process in self.processes}
        for pid in children(os.getpid()) - known:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass

    # --- cordon -------------------------------------------------------------------------------

    def run_cordon(self, *args, timeout=120, **options):
        """Runs cordon with these arguments: (seconds, stdout, stderr)."""
        return self.run([self.cordon, *args], timeout=timeout, **options)

    def report_of(self, *args, timeout=120):
        """`cordon run --verbose ARGS`: ({mark: ms since the previous mark}, {counter: number}), both in order."""
        _, _, err = self.run_cordon("run", "--verbose", *args, timeout=timeout)
        marks, counters = {}, {}
        for line in err.decode(errors="replace").splitlines():
            mark, counter = MARK.match(line), COUNTER.match(line)
            if mark:
                marks[mark[3]] = float(mark[2])
            elif counter:
                counters[counter[1]] = int(counter[2])
            elif line.startswith(REASONS):
                counters |= {name: int(count) for name, count in (part.split() for part in line[len(REASONS):].split(", "))}
        if not marks:
            raise NotMeasured("cordon run --verbose printed no time line")
        return marks, counters

    def json_of(self, *args):
        """What cordon prints with --json."""
        _, out, _ = self.run_cordon(*args)
        try:
            return json.loads(out)
        except ValueError:
            raise NotMeasured(f"cordon {args[0]}: its output is not JSON") from None

    def kill_sandboxes(self):
        """Ends all sandboxes of this run."""
        try:
            names = [entry["name"] for entry in self.json_of("ps", "--json")]
            for name in names:
                self.run_cordon("kill", name, timeout=30)
        except (NotMeasured, KeyError, TypeError):
            pass
        self.reap()

    # --- the end ------------------------------------------------------------------------------

    def close(self):
        """Ends every process of the run and removes its directory. May be called twice."""
        for process in list(self.processes):
            self.stop(process)
        if not os.path.isdir(self.directory):
            return
        self.kill_sandboxes()
        end_descendants()
        shutil.rmtree(self.directory, ignore_errors=True)


def end_descendants():
    """Ends all processes below this one, those first that could start others."""
    for _ in range(100):
        left = tree(os.getpid())[1:]
        if not left:
            break
        killed = set()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except (ProcessLookupError, PermissionError):
                pass
        for pid in children(os.getpid()) & killed:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass


def tree(pid):
    """A process and its descendants, parents first."""
    found = [pid]
    for each in found:
        found += sorted(children(each) - set(found))
    return found


def children(parent):
    """Process ids of the children of a process; none if it has ended."""
    found = set()
    try:
        tasks = os.listdir(f"/proc/{parent}/task")
    except OSError:
        tasks = []
    for task in tasks:
        found |= {int(pid) for pid in host.read(f"/proc/{parent}/task/{task}/children").split()}
    return found
