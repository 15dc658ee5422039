# SPDX-License-Identifier: Apache-2.0
"""The report and the order of all Python tests.

One line a test: `ok NAME (SECONDS s)`, `not ok NAME (SECONDS s)` with the reason below it, or `skip NAME ...`.
The last line is `N passed, N failed, N skipped`; `N flaky: NAMES` stands before it if there are any.

NAME is the file and the function without `test_`: run.exit_status_comes_through. `-k` finds it too.

A busy machine can make a correct test fail. So up to SECOND_TRIES failed tests run once more at the end, alone.
One that passes then counts as passed and as flaky: it, or what it tests, has a race. With more failures than
that, all stay failures.

Slow tests start first, so that none is left alone at the end: durations.txt in a directory of tests names them.
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
from isolation import TIME_SCALE, kill_descendants

sys.dont_write_bytecode = True
SECOND_TRIES = 3
ALONE = "CORDON_TEST_ALONE"             # set for a second try
PASS, FAIL, SKIP = "ok", "not ok", "skip"


def is_worker(config):
    return hasattr(config, "workerinput")


def name_of(nodeid):
    """integration/test_run.py::test_x is run.x; names of tests elsewhere begin with their directory."""
    path, _colons, function = nodeid.partition("::")
    directory, file = os.path.split(path)
    name = f"{file.removesuffix('.py').removeprefix('test_')}.{function.removeprefix('test_')}"
    return name if directory == "integration" else f"{directory}.{name}".lstrip(".")


# --- order and limits ------------------------------------------------------------------------------

def slow_tests(directory):
    """{name: seconds} from durations.txt."""
    try:
        with open(os.path.join(directory, "durations.txt"), encoding="utf-8") as lines:
            return {name: float(seconds) for seconds, name in
                    (line.split() for line in lines if line[0] != "#")}
    except FileNotFoundError:
        return {}


def pytest_itemcollected(item):
    item.extra_keyword_matches.add(name_of(item.nodeid))


def pytest_collection_modifyitems(items):
    slow = {}

    def limit(item):
        mark = item.get_closest_marker("timeout")
        return mark.args[0] if mark else float(item.config.getini("timeout"))

    def duration(item):
        directory = os.path.dirname(item.path)
        if directory not in slow:
            slow[directory] = slow_tests(directory)
        return slow[directory].get(name_of(item.nodeid), 0)

    items.sort(key=lambda item: (-duration(item), -limit(item)))
    for item in items:
        item.add_marker(pytest.mark.timeout(limit(item) * TIME_SCALE), append=False)


def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadScheduling

    class OneByOne(LoadScheduling):
        """Give each worker one test at a time and the next one (xdist needs it), so that the order holds."""

        def check_schedule(self, node, duration=0):
            if node.shutting_down:
                return
            if self.pending:
                self._send_tests(node, max(0, 2 - len(self.node2pending[node])))
            else:
                node.shutdown()

        def _send_tests(self, node, num):
            super()._send_tests(node, min(num, 2))
    return OneByOne(config, log)


# --- the directory of a run ------------------------------------------------------------------------

def pytest_configure_node(node):
    node.workerinput["cordon_top"] = node.config.cordon_top


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if is_worker(config):
        config.cordon_top = config.workerinput["cordon_top"]
        return
    if config.option.collectonly:
        config.option.verbose = -1          # names, not counts
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    config.cordon_top = tempfile.mkdtemp(prefix="cordon-test.")
    os.chmod(config.cordon_top, 0o755)      # tests that run as another user must get through
    os.mkdir(os.path.join(config.cordon_top, "cache"))
    config.pluginmanager.register(Report(config), "cordon-report")
    config.pluginmanager.unregister(name="terminaldistreporter")     # only reports that it starts nodes


def pytest_unconfigure(config):
    if hasattr(config, "cordon_top") and not is_worker(config):
        kill_descendants()
        shutil.rmtree(config.cordon_top, ignore_errors=True)


# --- the report --------------------------------------------------------------------------------------

def pytest_report_teststatus(report):
    """No letters: Report prints lines."""
    return "", "", ""


def indented(text):
    return "    " + text.rstrip().replace("\n", "\n    ")


class Test:
    """What is known of one test from the reports of its phases."""

    def __init__(self):
        self.verdict, self.texts, self.seconds = PASS, [], 0.0

    def add(self, report):
        self.seconds += report.duration
        if report.failed:
            self.verdict = FAIL
            self.texts.append(str(report.longrepr).strip())
            self.texts += [f"{title}:\n{text.rstrip()[-4000:]}" for title, text in report.sections
                           if text.strip() and report.when == "call" and "~ Stack of " not in text]
        elif report.skipped and self.verdict == PASS:
            self.verdict = SKIP
            self.texts.append(report.longrepr[2].removeprefix("Skipped: "))


class Report:
    def __init__(self, config):
        self.config = config
        self.tests = {}                     # by nodeid: the tests under way
        self.counts = {PASS: 0, FAIL: 0, SKIP: 0}
        self.failed, self.flaky, self.broken = [], [], set()
        self.interrupted = False

    def say(self, text):
        writer = self.config.get_terminal_writer()
        writer.line(text)
        writer.flush()

    def pytest_runtest_logreport(self, report):
        test = self.tests.setdefault(report.nodeid, Test())
        test.add(report)
        if report.when in ("setup", "call"):
            return
        del self.tests[report.nodeid]
        name = name_of(report.nodeid)
        text = "\n".join(test.texts)
        self.counts[test.verdict] += 1
        self.say(f"{test.verdict} {name} ({test.seconds:.1f} s)" + (f" {text}" if test.verdict == SKIP else ""))
        if test.verdict == FAIL:
            self.failed.append(report.nodeid)
            self.say(indented(text))

    def pytest_collectreport(self, report):
        """A file that cannot be read is a failure; each worker reports it."""
        if report.failed and report.nodeid not in self.broken:
            self.broken.add(report.nodeid)
            self.counts[FAIL] += 1
            self.say(f"{FAIL} {report.nodeid}: not collected\n{indented(str(report.longrepr))}")

    def pytest_keyboard_interrupt(self):
        self.interrupted = True
        self.say("interrupted")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session):
        if not self.interrupted and not os.environ.get(ALONE) and len(self.failed) <= SECOND_TRIES:
            for nodeid in self.failed:
                self.try_alone(nodeid)
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED and not self.counts[FAIL]:
            session.exitstatus = pytest.ExitCode.OK

    def try_alone(self, nodeid):
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        again = subprocess.run(
            [sys.executable, "-m", "pytest", "--numprocesses=0", os.path.join(self.config.rootpath, nodeid)],
            cwd=self.config.rootpath, env={**env, ALONE: "1"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        name = name_of(nodeid)
        if again.returncode == 0 and "\n1 passed, 0 failed, 0 skipped\n" in again.stdout:
            self.counts[FAIL] -= 1
            self.counts[PASS] += 1
            self.flaky.append(name)
            self.say(f"flaky {name}: failed above, passes alone")
        else:
            self.say(f"{FAIL} {name}, also alone\n{indented(again.stdout)}")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        if self.flaky:
            self.say(f"{len(self.flaky)} flaky: {', '.join(self.flaky)}")
        counts = self.counts
        self.say(f"{counts[PASS]} passed, {counts[FAIL]} failed, {counts[SKIP]} skipped")
