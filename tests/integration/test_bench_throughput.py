# SPDX-License-Identifier: Apache-2.0
"""The suite `throughput` of `cordon bench`: the groups without Linux in a guest, and what is missing."""
import json
import os

from cordon import call

QUIET = ["policy", "audit", "share-server", "share-process", "metal-disks", "metal-sockets"]


def rows_of(*groups, **keywords):
    call("bench", "--quick", "--out", "out", *(f"throughput.{group}" for group in groups), **keywords).expect(0)
    with open("out/results.json", encoding="utf-8") as file:
        return {row["id"]: row for row in json.load(file)["rows"]}


def test_every_row_has_figures():
    rows = rows_of(*QUIET)
    without = [(name, row.get("reason")) for name, row in rows.items() if not row["samples"]]
    assert not without, without
    assert {row["group"] for row in rows.values()} == set(QUIET)


def test_missing_program():
    """Its rows say what is missing; the others are measured."""
    os.mkdir("bin")
    for name in ("python3", "ip"):
        os.symlink(f"/usr/bin/{name}", f"bin/{name}")
    rows = rows_of("relay", "audit", env={"PATH": os.path.abspath("bin")})
    assert rows["throughput.relay.relay.out"]["reason"] == "passt is not installed: Debian has it in passt", rows
    assert not rows["throughput.relay.relay.out"]["samples"] and rows["throughput.policy.audit"]["samples"], rows


def test_program_that_fails():
    os.mkdir("bin")
    for name, target in (("python3", "python3"), ("ip", "false"), ("passt", "true")):
        os.symlink(f"/usr/bin/{target}", f"bin/{name}")
    row = rows_of("relay", env={"PATH": os.path.abspath("bin")})["throughput.relay.passt.in"]
    assert not row["samples"] and row["reason"].startswith("net-world ended with status 1: net-world: failed: "), row
