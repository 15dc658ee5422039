# SPDX-License-Identifier: Apache-2.0
"""What held the device lock for long, by the watch in vmm/base/watch.h: `with LockWatch(build) as watch:` sets it up."""
import glob
import os
import re
import subprocess
import tempfile

LINE = re.compile(r"held=(\d+) processor=(\d+) by=(\w+) calls=(\d+) longest=(\d+) at=(0x[0-9a-f]+) access=(0x[0-9a-f]+) "
                  r"program=(\S+)$", re.M)
SHOWN = 12


def find_program(build, name):
    """The built program of that name, or None."""
    found = [path for pattern in ("", "tests/unit/", "tests/guest/", "asan/tests/unit/")
             for path in glob.glob(os.path.join(build, pattern + glob.escape(name)))]
    return found[0] if found else None


def function_at(build, name, offset):
    """Name and place of the function at an offset in a program, as far as the program tells it."""
    path = find_program(build, name)
    if not path or offset == "0x0":
        return f"{name} {offset}"
    result = subprocess.run(["addr2line", "-f", "-s", "-e", path, offset], stdout=subprocess.PIPE, check=False, text=True)
    return f"{name} {' '.join(result.stdout.split()) or offset}"


def summary(text, build):
    """Lines about holds that took the processor for over 50 ms, one a place, longest first; and the number of others."""
    places, waited = {}, 0
    for held, processor, by, _calls, longest, at, access, program in LINE.findall(text):
        if int(processor) <= 50:
            waited += 1
            continue
        key = (by, at, program, access if by == "thread" else "")
        count, most = places.get(key, (0, (0, 0, 0)))
        places[key] = (count + 1, max(most, (int(processor), int(held), int(longest))))
    lines = []
    for (by, at, program, access), (count, (processor, held, longest)) in sorted(
            places.items(), key=lambda item: -item[1][1][0])[:SHOWN]:
        who = f"a vCPU (access to {access})" if by == "thread" else "the event loop"
        lines.append(f"device lock: held {held} ms, {processor} on a processor, by {who}: "
                     f"{function_at(build, program, at)} {longest} ms; {count} times")
    if len(places) > SHOWN:
        lines.append(f"device lock: {len(places) - SHOWN} more places")
    lines.append(f"device lock: {sum(count for count, _most in places.values())} holds of over 50 ms on a processor, "
                 f"{waited} that waited for a processor or a disk")
    return lines


class LockWatch:
    """Sets CORDON_LOCK_WATCH to a new file for the programs that are started within."""

    def __init__(self, build):
        self.build = build

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="cordon-watch.", mode="r")
        os.environ["CORDON_LOCK_WATCH"] = self.file.name
        return self

    def lines(self):
        """The summary so far."""
        self.file.seek(0)
        return summary(self.file.read(), self.build)

    def __exit__(self, *_what):
        del os.environ["CORDON_LOCK_WATCH"]
        self.file.close()
