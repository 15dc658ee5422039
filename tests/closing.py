# SPDX-License-Identifier: Apache-2.0
"""The closing lines of test suites, and their sum."""
import re

SUM_LINE = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
NAMES_LINE = re.compile(r"^\d+ (flaky|not run): (.+)$")


class Sum:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.names = {"flaky": [], "not run": []}

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def take(self, line):
        """Add a suite's closing line; return False if the line is none."""
        names, counts = NAMES_LINE.match(line), SUM_LINE.match(line)
        if names:
            self.names[names[1]] += names[2].split(", ")
        if counts:
            self.add(*map(int, counts.groups()))
        return bool(names or counts)

    def merge(self, other):
        self.add(other.passed, other.failed, other.skipped)
        for what, names in other.names.items():
            self.names[what] += names

    def status(self, strict):
        return 1 if self.failed or strict and any(self.names.values()) else 0

    def __str__(self):
        lines = [f"{len(names)} {what}: {', '.join(names)}" for what, names in self.names.items() if names]
        return "\n".join([*lines, f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"])
