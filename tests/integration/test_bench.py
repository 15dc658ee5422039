# SPDX-License-Identifier: Apache-2.0
"""`cordon bench` as a user runs it, by its shortest groups: what it prints and writes, and what goes wrong."""
import json
import os
import signal
import time

from cordon import FAILED, PROGRAM, Process, call, in_namespace, need_root, scratch, wait_until

NULL = "start.null"


def bench(*args, **keywords):
    return call("bench", *args, **keywords)


def results(directory="out"):
    with open(os.path.join(directory, "results.json"), encoding="utf-8") as file:
        return json.load(file)


def test_table_and_files():
    result = bench("--quick", "--out", "out", NULL).expect(0)
    text = result.stdout.decode()
    assert "null guest" in text and "a process of the host" in text and "median" in text, repr(result)
    assert sorted(os.listdir("out")) == ["report.html", "report.md", "results.json"], repr(result)
    run = results()
    row = next(row for row in run["rows"] if row["id"] == "start.null")
    assert len(row["samples"]) >= 25 and all(sample["value"] > 0 and "others" in sample for sample in row["samples"]), row
    phases = row["samples"][0]["phases"]
    assert "create VM and devices" in phases and abs(sum(phases.values()) / row["samples"][0]["value"] - 1) < 0.01, row
    for fact in ("processor", "processors", "kvm", "kernel", "governor", "mitigations", "cgroups"):
        assert fact in run["host"], run["host"]
    with open("out/report.html", encoding="utf-8") as page:
        assert page.read().count("<svg") == 2


def test_json_and_reading_again():
    result = bench("--quick", "--json", "--out", "out", NULL).expect(0)
    assert json.loads(result.stdout) == results()
    again = bench("--read", "out/results.json").expect(0, stderr=b"")
    assert b"null guest" in again.stdout, repr(again)


def test_comparison():
    bench("--quick", "--out", "out", NULL).expect(0)
    same = bench("--read", "out/results.json", "--compare", "out/results.json").expect(0)
    assert b", 0 worse, 0 better" in same.stdout, repr(same)
    run = results()
    for row in run["rows"]:
        for sample in row["samples"]:
            sample.pop("busy", None)
    scratch("new.json", json.dumps(run).encode())
    for row in run["rows"]:
        for sample in row["samples"]:
            sample["value"] /= 2
    scratch("faster.json", json.dumps(run).encode())
    worse = bench("--read", "new.json", "--compare", "faster.json").expect(1)
    assert b"worse   null guest" in worse.stdout and b"+100 %" in worse.stdout, repr(worse)
    better = bench("--read", "faster.json", "--compare", "new.json").expect(0)
    assert b"better  null guest" in better.stdout, repr(better)


def test_wrong_arguments():
    bench("pears").expect_error("no suite 'pears'", "did you mean 'peers'")
    bench("start.nul").expect_error("no group 'start.nul'", "did you mean 'start.null'")
    bench("--frobnicate").expect_error("--frobnicate")
    bench("--out").expect_error("out")
    bench("--out", "/proc/there/is/none", NULL).expect_error("/proc/there", "--out")
    bench("--compare", "none.json", NULL).expect_error("none.json: No such file")
    bench("--peers", "frobnicate", "peers").expect_error("frobnicate")
    bench("--peers", "none,qemu", "peers").expect_error("--peers none goes with no other name")
    bench("--peers", "none", "peers").expect_error("nothing to measure")
    for option in ("--out", "--compare", "--peers", "--read", "--doc"):
        bench(option, "", NULL).expect_error(option, "needs a value")
    bench("--read", "none.json", NULL).expect_error("--read measures nothing")
    bench("--read", "none.json", "--quick").expect_error("takes no --quick")
    assert os.listdir(".") == []


def test_results_of_another_version():
    for text, words in (("", "not JSON"), ("{}", "not a results file"), ('{"format": "cordon-bench", "version": 99}', "version 99"),
                        ('{"format": "cordon-bench", "version": 1}', "damaged")):
        scratch("old.json", text.encode())
        bench("--compare", "old.json", NULL).expect_error("old.json", words)


def test_no_kvm():
    need_root()
    gone = in_namespace("mount -t tmpfs tmpfs /dev && touch /dev/null")
    bench(NULL, wrap=gone).expect_error("no sandbox can run on this host", "/dev/kvm", "cordon doctor")
    assert os.listdir(".") == []


def test_no_gnuplot():
    os.mkdir("bin")
    os.symlink("/usr/bin/python3", "bin/python3")
    result = bench("--quick", "--out", "out", NULL, env={"PATH": os.path.abspath("bin")}).expect(0)
    assert b"gnuplot is not installed: Debian has it in gnuplot-nox" in result.stderr, repr(result)
    with open("out/report.html", encoding="utf-8") as page:
        text = page.read()
    assert "<svg" not in text and "null guest" in text


def test_no_python():
    bench(NULL, env={"PATH": "/none"}).expect_error("python3 is not installed", "Debian has it in python3")


def test_output_that_goes_nowhere():
    bench("--quick", "--out", "out", NULL).expect(0)
    with open("/dev/full", "wb") as full:
        bench("--read", "out/results.json", stdout=full).expect_error("standard output", "No space left")
    early = call("-c", f"{PROGRAM} bench --read out/results.json | true", program="sh").expect(0)
    assert b"Traceback" not in early.stderr, repr(early)


def test_full_disk():
    """As on a full disk, writing a results file fails in its middle; the old one stays whole."""
    bench("--quick", "--out", "out", NULL).expect(0)
    before = results()
    result = bench("--quick", "--out", "out", NULL, wrap=["prlimit", "--fsize=4096"])
    result.expect(FAILED)
    assert b"null guest" in result.stdout, repr(result)
    assert b"out/results.json" in result.stderr and b"File too large" in result.stderr, repr(result)
    assert results() == before and sorted(os.listdir("out")) == ["report.html", "report.md", "results.json"]


def test_interrupted():
    """What was measured is kept, and nothing runs on (tests/isolation.py looks)."""
    for number in (signal.SIGINT, signal.SIGTERM):
        process = Process("bench", "--out", "out", NULL, "density")
        process.wait_output(b"density: ", stream="stderr")
        time.sleep(0.5)
        process.signal(number)
        result = process.wait().expect(128 + number)
        run = results()
        assert run["interrupted"] and any(row["id"] == "start.null" and row["samples"] for row in run["rows"]), run["rows"]
        assert b"The run was interrupted" in result.stdout and b"Traceback" not in result.stderr, repr(result)
        wait_until(lambda: call("ps").stdout.count(b"\n") <= 1, "no sandbox is left")
