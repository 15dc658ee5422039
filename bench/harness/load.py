# SPDX-License-Identifier: Apache-2.0
"""The load from others while samples are taken: processor time of the host that is not ours."""

import os
import time

TICK = os.sysconf("SC_CLK_TCK")


def host_seconds():
    """Busy processor seconds of the host since its boot; time stolen by a hypervisor counts as busy."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(field) for field in stat.readline().split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICK


def parse_stat(text):
    """(parent, seconds of the process and of its reaped children) from /proc/PID/stat."""
    fields = text[text.rindex(")") + 2:].split()
    return int(fields[1]), sum(int(field) for field in fields[11:15]) / TICK


def own_seconds():
    """Processor seconds of this process and of all its descendants, living and reaped."""
    processes = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as stat:
                    processes[int(name)] = parse_stat(stat.read())
            except (OSError, ValueError, IndexError):
                continue            # it has ended
    own, more = {os.getpid()}, True
    while more:
        new = {pid for pid, (parent, _) in processes.items() if parent in own} - own
        own |= new
        more = bool(new)
    return sum(processes[pid][1] for pid in own if pid in processes)


class Window:
    """The load from others since start(), in processors."""
    SHORTEST = 0.5          # seconds: the kernel counts in ticks of 10 ms

    def __init__(self):
        self.start()

    def start(self):
        self.began = time.monotonic()
        self.busy = host_seconds() - own_seconds()

    def short_of(self):
        """Seconds until the window is long enough to be judged."""
        return max(0.0, self.began + self.SHORTEST - time.monotonic())

    def long_enough(self):
        return self.short_of() == 0

    def others(self):
        """Processors that others kept busy, on average."""
        seconds = max(time.monotonic() - self.began, 1e-6)
        return max(0.0, (host_seconds() - own_seconds() - self.busy) / seconds)
