# SPDX-License-Identifier: Apache-2.0
"""What `cordon bench` runs: plans the suites, takes the samples, prints the table, writes results and reports.

`cordon bench` checks the options and gives them here; --cordon and --programs are its own.
"""

import signal

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)       # no traceback if Ctrl-C comes before main() has its handler

import argparse
import difflib
import json
import os
import platform
import shlex
import sys
import textwrap
import time

from harness import compare, plot, report, results, runner, table
from harness.context import Bench
from harness.model import Problem, rows_of
from harness.progress import Progress, duration
from suites import counts, density, peers, start, throughput

SUITES = {"start": start, "throughput": throughput, "density": density, "counts": counts, "peers": peers}
FAILED = 125
WIDTH = 100
LIMITS = {"quick": 112, "whole": 19 * 60}      # seconds for the samples; the rest is for start, end and plots
LAB_LIMIT = 40 * 60                             # the counts of the lab come on top


class Interrupted(BaseException):
    """SIGINT or SIGTERM came."""

    def __init__(self, number):
        super().__init__()
        self.status = 128 + number


SIGNALS = [signal.SIGINT, signal.SIGTERM]
if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:       # nohup(1)
    SIGNALS.append(signal.SIGHUP)


def handle_signals(handler):
    for number in SIGNALS:
        signal.signal(number, handler)


def take_no_notice(_number, _frame):
    """In place of SIG_IGN: Python reports a signal that came just before it was set."""


def on_signal(number, _frame):
    # A second one must not interrupt the clean-up.
    handle_signals(take_no_notice)
    raise Interrupted(number)


def arguments(argv):
    parser = argparse.ArgumentParser(prog="cordon bench", add_help=False)
    for flag in ("quick", "json", "lab"):
        parser.add_argument(f"--{flag}", action="store_true")
    for value in ("cordon", "programs", "version", "out", "compare", "peers", "read", "doc"):
        parser.add_argument(f"--{value}")
    parser.add_argument("suites", nargs="*")
    return parser.parse_args(argv)


def no_such(name, known, what):
    near = difflib.get_close_matches(name, known, 1)
    return Problem(f"no {what} '{name}': " + (f"did you mean '{near[0]}'?" if near else "there are " + ", ".join(known)))


def chosen(names):
    """The suites to run, in the order of the table. A name is a suite, or a group of one: start.warm."""
    for name in names:
        if name.split(".")[0] not in SUITES:
            raise no_such(name.split(".")[0], SUITES, "suite")
    asked = {name.split(".")[0] for name in names}
    # Counts take a whole emulated machine: only where they are asked for.
    return [name for name in SUITES if name in asked or (not names and name != "counts")]


def plan(bench, options):
    """The groups to run."""
    suites = chosen(options.suites)
    if bench.lab and not options.suites:
        suites.append("counts")
    groups = [group for suite in suites for group in SUITES[suite].groups(bench, options)]
    rows_of(groups)
    for name in options.suites:
        known = [f"{group.suite}.{group.name}" for group in groups]
        if "." in name and name not in known:
            raise no_such(name, known, "group")
    return [group for group in groups
            if not options.suites or group.suite in options.suites or f"{group.suite}.{group.name}" in options.suites]


def new_run(bench, options, groups, command):
    return {"format": results.FORMAT, "version": results.VERSION, "cordon": options.version or "unknown",
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": command,
            "quick": options.quick, "interrupted": False, "python": platform.python_version(),
            "host": bench.host, "notes": [],
            "groups": [{"name": group.name, "suite": group.suite, "title": group.title, "plot": group.plot,
                        "note": group.note} for group in groups],
            "rows": []}


def check_options(options):
    """Problem at options that have no value or contradict each other, before anything is measured."""
    for name in ("out", "compare", "peers", "read", "doc"):
        if getattr(options, name) == "":
            raise Problem(f"--{name} needs a value")
    if options.read:
        for name in ("quick", "lab", "peers"):
            if getattr(options, name):
                raise Problem(f"--read measures nothing, and takes no --{name}")
        if options.suites:
            raise Problem("--read measures nothing, and takes no suites: they are those of the file")
    elif options.peers == "none" and options.suites and all(name.split(".")[0] == "peers" for name in options.suites):
        raise Problem("nothing to measure: '--peers none' leaves nothing of the suite 'peers'")


def open_directory(options):
    """The directory for results, made before anything is measured."""
    directory = options.out or time.strftime("cordon-bench-%Y%m%d-%H%M%S")
    try:
        # A name that is not given is a new directory: in one that others can write to, it could be theirs.
        os.makedirs(directory, exist_ok=bool(options.out))
        if not os.access(directory, os.W_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        raise Problem(f"{directory}: {error.strerror}: give another directory with --out") from None
    return directory


def measure(bench, options, directory, groups, run):
    """Takes all samples into run, and saves after each group. Raises Interrupted with what there is in run."""
    limit = (LIMITS["quick" if options.quick else "whole"]) + (LAB_LIMIT if bench.lab else 0)
    clock = runner.Clock(groups, limit)
    progress = Progress(clock, max(clock.remaining(), 1))
    unsaved = None
    try:
        for group in groups:
            deadline = clock.deadline(group)
            progress.group(f"{group.suite}: {group.title}")
            taken, stopped = runner.run_group(bench, group, deadline, progress.tick)
            run["rows"] += [results.row_entry(group, row, one.samples[row.id], one.reason)
                            for one in taken for row in one.probe.rows]
            try:
                results.save(os.path.join(directory, "results.json"), run)
            except OSError as error:
                unsaved = error
            if stopped:
                raise stopped
    finally:
        progress.end()
    return unsaved


def notes_of(bench, options):
    notes = []
    if bench.host["in_lab"]:
        notes.append("This is the lab: the whole machine is emulated, and its times only show how things stand to each other. "
                     "Amounts of work are smaller here.")
    elif bench.emulated:
        notes.append("This host's KVM emulates ring 0 of the guest: its kernel is about a thousand times slower than on hardware, "
                     "and whatever boots a guest or makes system calls in it is, too. Amounts of work are smaller here.")
    if options.quick:
        notes.append("With --quick: fewer samples and smaller amounts.")
    return notes


def busy_note(run):
    count = sum(results.busy(row) for row in run["rows"])
    return [f"{count} rows, marked *, could only be measured while other work kept over {runner.BUSY} processors busy."] if count else []


def finish(options, directory, run, unsaved):
    """Reports, table, comparison: the exit status."""
    comparison, worse = compare.lines(options.old, run) if options.old else ([], False)
    try:
        if directory:
            results.save(os.path.join(directory, "results.json"), run)
            unsaved = None
            report.write(directory, run, comparison)
        if options.doc:
            report.write_doc(options.doc, run)
    except OSError as error:
        unsaved = error
    if options.json:
        json.dump(run, sys.stdout, indent=1)
        print()
    else:
        lines = [f"{name}: {text}" for name, text in report.facts(run)[3:5]] + report.notes(run)
        print("\n".join([textwrap.fill(line, WIDTH) for line in lines] + table.text(run)))
    if comparison:
        print("\n" + "\n".join(comparison), file=sys.stderr if options.json else sys.stdout)
    if not plot.available():
        print(f"cordon: bench: {plot.MISSING}", file=sys.stderr)
    if unsaved:
        raise Problem(f"{unsaved.filename or directory}: {unsaved.strerror}: the results could not be saved whole")
    if directory and not options.json:
        print(f"\nreport: {directory}/report.html and report.md; samples: {directory}/results.json")
    return 1 if worse else 0


def measured_run(options, command):
    """Measures: the exit status."""
    chosen(options.suites)
    peers.chosen(options.peers)
    status, unsaved = 0, None
    began = time.monotonic()
    bench = run = directory = None
    try:
        bench = Bench(options.cordon, options.programs, quick=options.quick, lab=options.lab)
        if bench.problem:
            raise Problem(f"no sandbox can run on this host: {bench.problem}: see 'cordon doctor'")
        groups = plan(bench, options)
        if options.doc:
            report.read_doc(options.doc, bench.host)
        directory = open_directory(options)
        run = new_run(bench, options, groups, command)
        run["notes"] = notes_of(bench, options)
        unsaved = measure(bench, options, directory, groups, run)
    except Interrupted as stop:
        status = stop.status
        if run is None:
            raise
        run["interrupted"] = True
    finally:
        handle_signals(take_no_notice)
        if bench:
            bench.close()
    handle_signals(on_signal)
    run["notes"] += busy_note(run) + [f"It took {duration(time.monotonic() - began)}."]
    return finish(options, directory, run, unsaved) if status == 0 else finish(options, directory, run, unsaved) or status


def main():
    command = shlex.join(["cordon", "bench", *(word for word in sys.argv[1:]
                                               if not word.startswith(("--cordon=", "--programs=", "--version=")))])
    options = arguments(sys.argv[1:])
    try:
        handle_signals(on_signal)
        check_options(options)
        options.old = results.load(options.compare) if options.compare else None
        if options.read:
            run = results.load(options.read)
            return finish(options, open_directory(options) if options.out else None, run, None)
        return measured_run(options, command)
    except (Problem, results.BadResults) as problem:
        print(f"cordon: bench: {problem}", file=sys.stderr)
        return FAILED
    except Interrupted as stop:
        return stop.status


def guarded_main():
    """main(), whose output may go nowhere: a pipe that closes early ends quietly, a full disk with a line."""
    status = FAILED
    sys.stdout.reconfigure(errors="replace")
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"cordon: bench: {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        status = FAILED
    except Interrupted as stop:
        status = stop.status
    handle_signals(take_no_notice)
    return status


if __name__ == "__main__":
    sys.exit(guarded_main())
