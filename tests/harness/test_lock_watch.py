# SPDX-License-Identifier: Apache-2.0
"""What tests/run-all.py says about holders of the device lock."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lock_watch import LockWatch, summary  # noqa: E402

LINES = """held=80 processor=70 by=loop calls=3 longest=60 at=0x0 access=0x0 program=none
held=90 processor=55 by=loop calls=1 longest=90 at=0x0 access=0x0 program=none
held=70 processor=69 by=thread calls=0 longest=0 at=0x10 access=0xd0001070 program=none
held=400 processor=2 by=loop calls=1 longest=400 at=0x0 access=0x0 program=none
"""


def test_holders_are_summed_up():
    assert summary(LINES, "/nowhere") == [
        "device lock: held 80 ms, 70 on a processor, by the event loop: none 0x0 60 ms; 2 times",
        "device lock: held 70 ms, 69 on a processor, by a vCPU (access to 0xd0001070): none 0x10 0 ms; 1 times",
        "device lock: 3 holds of over 50 ms on a processor, 1 that waited for a processor or a disk"]


def test_programs_get_a_file():
    with LockWatch("/nowhere") as watch:
        with open(os.environ["CORDON_LOCK_WATCH"], "a", encoding="ascii") as file:
            file.write(LINES.splitlines()[3] + "\n")
        assert watch.lines() == [
            "device lock: 0 holds of over 50 ms on a processor, 1 that waited for a processor or a disk"]
        assert os.path.exists(os.environ["CORDON_LOCK_WATCH"])
    assert "CORDON_LOCK_WATCH" not in os.environ
