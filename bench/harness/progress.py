# SPDX-License-Identifier: Apache-2.0
"""How far the run is: a bar on a terminal, else a line for each group."""

import sys
import time

WIDTH = 24


def duration(seconds):
    seconds = int(seconds + 0.5)
    return f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"


class Progress:
    def __init__(self, clock, total, stream=None):
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.clock = clock
        self.total = total              # seconds that all is expected to take
        self.title = ""
        self.shown = 0.0

    def group(self, title):
        self.title = title
        if self.terminal:
            self.tick(now=True)
        else:
            self.write(f"cordon: bench: {title}, about {duration(self.clock.remaining())} left\n")

    def tick(self, now=False):
        if not self.terminal or (not now and time.monotonic() - self.shown < 0.2):
            return
        self.shown = time.monotonic()
        left = self.clock.remaining()
        done = min(1.0, max(0.0, 1 - left / self.total))
        bar = "#" * int(done * WIDTH)
        self.write(f"\r\x1b[K[{bar:-<{WIDTH}}] {done:4.0%}, {duration(left)} left: {self.title}"[:160])

    def end(self):
        if self.terminal:
            self.write("\r\x1b[K")

    def write(self, text):
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError:
            pass
