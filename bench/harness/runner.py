# SPDX-License-Identifier: Apache-2.0
"""Takes the samples: groups one after the other, the probes of a group in turns, within a time limit."""

import math
import time

from harness.load import Window
from harness.model import Figure, NotMeasured, TimedOut

BUSY = 0.3          # processors that others may keep busy while a sample is taken
REPEATS = 1.0       # at most so many more samples, as a share of those planned, replace busy ones
REASON = 500        # characters of why a probe failed
FAILURES = 3        # a probe that failed so often in a row is given up

# What a program printed was nonsense, or a file or process has gone: the other figures do not depend on it.
NONSENSE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError)


def reason_of(problem):
    return (str(problem) if isinstance(problem, NotMeasured) else f"{type(problem).__name__}: {problem}")[:REASON]


class Taken:
    """The samples of one probe."""

    def __init__(self, probe):
        self.probe = probe
        self.samples = {row.id: [] for row in probe.rows}
        self.reason = ""                # why there is none, or fewer than planned
        self.failures = 0
        self.rounds = 0
        self.clean = 0                  # rounds at a load below the limit
        self.unsettled = 0              # rounds whose load is not known yet
        self.longest = 0.0              # seconds of the longest sample

    def wants_more(self):
        planned = self.probe.rounds
        return (self.failures < FAILURES and self.clean + self.unsettled < planned
                and self.rounds < planned + max(1, int(planned * REPEATS)))

    def samples_taken(self):
        return any(self.samples.values())

    def too_late(self, deadline):
        return self.rounds > 0 and time.monotonic() + self.longest > deadline

    def rate(self, fresh, others):
        """Marks the samples of the last window with the load from others. Whether they can be kept."""
        busy = others > BUSY and not self.probe.counts
        for sample in fresh:
            sample["others"] = round(others, 2)
            if busy:
                sample["busy"] = True
        return not busy


def checked(figures):
    """The Figures of what a probe gave for a row, or ValueError."""
    figures = figures if isinstance(figures, list) else [figures]
    figures = [figure if isinstance(figure, Figure) else Figure(float(figure)) for figure in figures]
    for figure in figures:
        if not all(math.isfinite(value) for value in [figure.value, *(figure.phases or {}).values()]):
            raise ValueError("a figure is not a number")
    return figures


def sample_of(figure):
    sample = {"value": figure.value, "at": round(time.time(), 1)}
    if figure.phases:
        sample["phases"] = {phase: round(value, 4) for phase, value in figure.phases.items()}
    return sample


def take(bench, taken):
    """One execution: the samples that it gave."""
    fresh = []
    began = time.monotonic()
    taken.rounds += 1
    try:
        figures = {name: checked(some) for name, some in taken.probe.sample(bench).items()}
    except TimedOut as problem:
        taken.failures = FAILURES       # another try would take as long
        taken.reason = reason_of(problem)
        return fresh
    except (NotMeasured, *NONSENSE) as problem:
        taken.failures += 1
        taken.reason = reason_of(problem)
        return fresh
    taken.failures = 0
    taken.longest = max(taken.longest, time.monotonic() - began)
    for name, some in figures.items():
        samples = [sample_of(figure) for figure in some]
        taken.samples[name] += samples
        fresh += samples
    return fresh


def settle(window, pending):
    """Ends a window: rates its samples, and counts the rounds that were quiet."""
    others = window.others()
    for taken, fresh in pending:
        taken.unsettled -= 1
        if taken.rate(fresh, others) and fresh:
            taken.clean += 1
    pending.clear()
    window.start()


def prepare(bench, taken):
    """Whether the probe can run; if not, it has a reason."""
    try:
        if taken.probe.prepare:
            taken.probe.prepare(bench)
        return True
    except (NotMeasured, *NONSENSE) as problem:
        taken.reason = reason_of(problem)
        return False


def rounds(bench, ready, deadline, tick):
    """Rounds of all probes that want more, until none does or the time is over; each has one at least."""
    window, pending = Window(), []
    while True:
        turn = [taken for taken in ready if taken.wants_more() and not taken.too_late(deadline)]
        for taken in turn:
            pending.append((taken, take(bench, taken)))
            taken.unsettled += 1
            bench.reap()
            if window.long_enough():
                settle(window, pending)
            tick()
        if not turn and not pending:
            break
        if not turn:
            time.sleep(window.short_of())
            settle(window, pending)         # what was busy is taken again
    for taken in ready:
        if taken.wants_more() and taken.rounds < taken.probe.rounds:
            taken.reason = f"{taken.rounds} of {taken.probe.rounds} samples: time limit"


def run_group(bench, group, deadline, tick=lambda: None):
    """Runs a group: (a list of Taken, one for each probe; None or what ended it early, to be raised again).

    finish() of each probe runs whatever happens, and what was measured until then is kept.
    """
    all_taken, stopped = [Taken(probe) for probe in group.probes], None
    try:
        rounds(bench, [taken for taken in all_taken if prepare(bench, taken)], deadline, tick)
    except BaseException as stop:       # a signal: whatever else, too, after the clean-up
        stopped = stop
    for taken in all_taken:
        if stopped and not taken.samples_taken() and not taken.reason:
            taken.reason = "interrupted"
        try:
            if taken.probe.finish:
                taken.probe.finish(bench)
        except (NotMeasured, *NONSENSE):
            pass
    return all_taken, stopped


class Clock:
    """The time limit, shared out by what the groups still to come expect to take."""

    def __init__(self, groups, seconds):
        self.end = time.monotonic() + seconds
        self.expected = {id(group): group.seconds for group in groups}
        self.here = 0.0                 # when the group that runs is expected to end

    def left(self):
        return max(0.0, self.end - time.monotonic())

    def deadline(self, group):
        """When this group must end: its share of what is left; a fast one before leaves more."""
        total = sum(self.expected.values())
        expected = self.expected.pop(id(group))
        share = self.left() * expected / total
        self.here = time.monotonic() + min(share, expected)
        return time.monotonic() + share

    def remaining(self):
        """Seconds that the run is expected to take from now on."""
        return min(self.left(), max(0.0, self.here - time.monotonic()) + sum(self.expected.values()))
