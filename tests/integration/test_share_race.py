# SPDX-License-Identifier: Apache-2.0
"""The race for a path in a share, by the guest's own kernel: a directory is exchanged for a link that leads out of the
share while programs of the guest walk into it. tests/unit/test_fs_race.c does the same without a guest, more often."""
import ctypes
import os
import re
import shutil
import stat
import threading

import cordon
from cordon import limit, many, run, work, write

AT_FDCWD, RENAME_EXCHANGE = -100, 2
ROUNDS = int(os.environ.get("CORDON_TEST_RACE_ROUNDS", many(400, 20000)))


def places():
    """A shared directory with a directory `d` and a link `decoy` that leads above it; the program in a share of its own."""
    write("top/secret", "outside")
    write("top/share/d/secret", "inside")
    os.symlink("..", work("top/share/decoy"))
    os.makedirs(work("programs"))
    shutil.copy(cordon.program("races"), work("programs"))
    return ["--share", f"{work('programs')}:/programs:ro", "--share", f"{work('top/share')}:/w"]


class Control:
    """What many would write: look that it is a directory, then open what is in it. With `moves`, exchanges the two, too."""

    def __init__(self, moves):
        self.libc, self.lost, self.end = ctypes.CDLL(None), 0, threading.Event()
        self.threads = [threading.Thread(target=self.check)] + ([threading.Thread(target=self.move)] if moves else [])

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_exception):
        self.end.set()
        for thread in self.threads:
            thread.join()

    def move(self):
        one, other = work("top/share/d").encode(), work("top/share/decoy").encode()
        while not self.end.is_set():
            self.libc.renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE)

    def check(self):
        place = work("top/share/d")
        while not self.end.is_set():
            try:
                if not stat.S_ISDIR(os.lstat(place).st_mode):
                    continue
                with open(os.path.join(place, "secret"), encoding="utf-8") as file:
                    self.lost += file.read() == "outside"
            except OSError:
                pass


def race(moves, *options, places_in_guest=("/w",)):
    total = [0, 0, 0]
    options = [*places(), *options]
    with Control(moves) as control:
        # Until the control has lost, so that there was something to lose.
        while total[0] < ROUNDS or not control.lost:
            result = run("/programs/races", str(ROUNDS), *places_in_guest, options=options)
            found = re.fullmatch(rb"rounds (\d+) inside (\d+) outside (\d+) changes \d+\n", result.expect(0).stdout)
            assert found, result
            total = [a + int(b) for a, b in zip(total, found.groups())]
            assert total[2] == 0, total
    print(f"rounds {total[0]}, inside {total[1]}, outside {total[2]}; the control lost {control.lost} times")
    assert total[1] > 0, total
    assert not [name for name in os.listdir(work("top")) if name not in ("secret", "share")]
    with open(work("top/secret"), encoding="utf-8") as file:
        assert file.read() == "outside" and os.stat(work("top/secret")).st_nlink == 1


@limit(900)
def test_share_race_with_the_host():
    """The host exchanges the directory."""
    race(True)


@limit(900)
def test_share_race_with_the_guest():
    """Another process of the guest does, by a second share of the same directory."""
    options = ["--share", f"{work('top/share')}:/twin", "--cpus", "2"]
    race(False, *options, places_in_guest=("/w", "/twin"))
