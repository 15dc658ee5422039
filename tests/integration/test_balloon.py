# SPDX-License-Identifier: Apache-2.0
"""The memory of a sandbox that runs: `cordon limit`, and memory that goes back to the host."""
import json

import cordon
from cordon import call, limit, wait_until, work
from sandboxes import connect, execute, sandbox, ask

MIB = 1 << 20
SIZE = ("--memory", "128M")     # the workload has some 90 MiB of it; the least is 72 MiB


def limits(name="box"):
    return json.loads(call("limit", "--json", name).expect(0, stderr=b"").stdout)


def private_mib(name="box"):
    """Private memory of the monitor, the guest's included."""
    return json.loads(call("stats", "--json", name).expect(0).stdout)["private_kib"] / 1024


def free_mib(name="box"):
    line = execute(name, "sh", "-c", "free -k").expect(0).stdout.decode().split("\n")[1].split()
    return int(line[3]) / 1024


def usable(name="box"):
    """What the workload may use, in bytes: the bound of its cgroup."""
    return int(execute(name, "sh", "-c", "mount -t cgroup2 c /mnt 2>/dev/null; cat /mnt/memory.max").expect(0).stdout)


def change(size, name="box"):
    """Change the limit, and wait until the guest has done its part."""
    call("limit", name, f"memory={size}M").expect(0, stderr=b"")
    wait_until(lambda: limits(name)["memory_given_back"] == (128 - size) * MIB, seconds=300,
               what=f"the guest has the memory of a limit of {size} MiB")


def refused(value, *words):
    call("limit", "box", value).expect_error(*words)
    assert limits()["memory"] == 128 * MIB, limits()


@limit(900)
def test_limit_goes_down_and_up():
    with sandbox("box", *SIZE):
        shown = limits()
        assert (shown["memory"], shown["memory_most"], shown["memory_least"], shown["memory_given_back"]) == (
            128 * MIB, 128 * MIB, 72 * MIB, 0), shown
        call("limit", "box").expect(0, b"memory           128M of 128M\nprocessors       1\n", b"")
        refused("memory=130M", "was started with 128M of memory", "--memory 130M")
        refused("memory=71M", "needs 72M of it at least")
        refused("memory=0", "needs 72M of it at least")
        refused("memory=much", "give a size such as memory=256M")
        refused("memory=", "give a size such as memory=256M")
        refused("processes=7", "only memory=SIZE can be changed", "policy set")
        call("limit", "nobox", "memory=96M").expect_error("nobox")
        call("limit").expect_error("of which sandbox?")
        with connect() as client:
            answer = ask(client, id=1, op="limit", memory="96M")
            assert not answer["ok"] and "number of bytes" in answer["error"], answer
        before, all_of_it = free_mib(), usable()
        change(112)
        call("limit", "box").expect(0, b"memory           112M of 128M: the guest has given back 16M of 16M\n"
                                    b"processors       1\n", b"")
        lower = free_mib()
        assert 10 < before - lower < 22, (before, lower)
        assert usable() == all_of_it - 16 * MIB, (all_of_it, usable())
        # A command that was running goes on, and others start.
        execute("box", "sh", "-c", "echo works").expect(0, b"works\n")
        # A copy has the limit, and can have the memory again.
        snapshot = work("snapshot")
        call("snapshot", "box", snapshot).expect(0)
        call("restore", snapshot, "copy").expect(0)
        try:
            shown = limits("copy")
            assert shown["memory"] == 112 * MIB and shown["memory_given_back"] == 16 * MIB, shown
            change(128, "copy")
            # A part is in the processor's own list of free pages, which `free` does not count.
            assert free_mib("copy") > lower + 2, (lower, free_mib("copy"))
            assert usable("copy") == all_of_it, (all_of_it, usable("copy"))
        finally:
            call("kill", "copy")
        assert limits()["memory"] == 112 * MIB, limits()
        change(128)
        again = free_mib()
        assert again > lower + 2, (before, lower, again)
        assert usable() == all_of_it, (all_of_it, usable())


FILL = "dd if=/dev/zero of=/tmp/fill bs=1M count=%d 2>/dev/null && rm /tmp/fill"


@limit(900)
def test_memory_goes_back_to_the_host():
    with sandbox("box", *SIZE):
        execute("box", "sh", "-c", FILL % 48).expect(0)
        full = private_mib()
        assert full > 48, full
        change(72)
        empty = private_mib()
        assert empty < full - 20, (full, empty)
        if cordon.many(cordon.HARDWARE, True):
            # The kernel ends a command that needs more, as it does without a limit, and the rest goes on.
            eaten = execute("box", "sh", "-c", cordon.EAT_MEMORY).expect(137)
            assert b"memory" in eaten.stderr, eaten
            assert private_mib() < full, (full, private_mib())
        execute("box", "echo", "works").expect(0, b"works\n")
