# SPDX-License-Identifier: Apache-2.0
"""The harness of `cordon bench`: statistics, comparison, results files, the runner, plots; without a sandbox."""
import json
import os
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "bench"))
from harness import compare, load, plot, report, results, runner, statistic, table  # noqa: E402
from harness.model import Figure, Group, NotMeasured, Probe, Row, TimedOut, rows_of  # noqa: E402


class FakeBench:
    """What the runner needs of a Bench."""

    def reap(self):
        pass


def row_of(name, values, **more):
    return {"id": name, "suite": "start", "group": "g", "title": name, "unit": "ms", "better": "less",
            "samples": [{"value": value} for value in values], **more}


def run_of(*rows):
    return {"format": results.FORMAT, "version": results.VERSION, "cordon": "0", "started": "now", "command": "c",
            "quick": False, "host": {"kvm": "hardware"}, "notes": [],
            "groups": [{"name": "g", "suite": "start", "title": "G", "plot": "bars", "note": ""}], "rows": list(rows)}


def measure(*probes, seconds=60.0):
    taken, stopped = runner.run_group(FakeBench(), Group("start", "g", "G", list(probes)), runner.time.monotonic() + seconds)
    if stopped:
        raise stopped
    return taken


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """No load from others, and windows that end at once: the machine that runs the tests may be busy."""
    monkeypatch.setattr(load.Window, "SHORTEST", 0.0)
    monkeypatch.setattr(load.Window, "others", lambda self: 0.0)


def test_order_statistics():
    assert statistic.median([3, 1, 2]) == 2
    assert statistic.median([4, 1, 2, 3]) == 2.5
    assert statistic.quantile(range(1, 101), 0.9) == 90
    assert statistic.quantile(range(1, 101), 0.99) == 99
    assert statistic.quantile([7], 0.99) == 7
    assert statistic.ranks([10, 30, 10, 20]) == [1.5, 4, 1.5, 3]


def test_permutation_test():
    # Of the 252 arrangements of 5 and 5 distinct values the two extreme ones are as far apart.
    assert statistic.permutation_test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
    assert statistic.least_p(5, 5) == pytest.approx(2 / 252)
    assert statistic.permutation_test([1, 3, 5, 7, 9], [2, 4, 6, 8, 10]) > 0.5
    assert statistic.permutation_test([1, 1, 1], [1, 1, 1]) == 1
    many = statistic.permutation_test(range(100), range(50, 150))
    assert 0 < many < 0.001 and many == statistic.permutation_test(range(100), range(50, 150))


def test_comparison_finds_changes_only():
    old = run_of(row_of("same", range(100, 110)), row_of("worse", range(100, 110)), row_of("better", range(100, 110)),
                 row_of("slight", range(1000, 1010)), row_of("few", [1, 2]), row_of("gone", [1]))
    new = run_of(row_of("same", range(101, 111)), row_of("worse", range(120, 130)), row_of("better", range(80, 90)),
                 row_of("slight", range(1030, 1040)), row_of("few", [8, 9]), row_of("new", [1]))
    found = {row["id"]: verdict for row, verdict, *_ in compare.compare(old, new)}
    assert found == {"same": "same", "worse": "worse", "better": "better", "slight": "same",
                     "few": "too few samples", "gone": "gone", "new": "new"}
    lines, worse = compare.lines(old, new)
    assert worse and any(line.startswith("worse   worse: +19 %") for line in lines), lines
    lines, worse = compare.lines(old, old)
    assert not worse and lines[-1].startswith("4 rows compared, 0 worse, 0 better"), lines


def test_comparison_knows_where_more_is_better():
    old = run_of(row_of("rate", range(100, 110), better="more", unit="1/s"))
    new = run_of(row_of("rate", range(200, 210), better="more", unit="1/s"))
    assert compare.compare(old, new)[0][1] == "better"
    assert compare.compare(new, old)[0][1] == "worse"


def test_comparison_leaves_busy_samples_out():
    busy = row_of("r", range(100, 110))
    busy["samples"] += [{"value": 900, "busy": True}] * 50
    assert compare.compare(run_of(row_of("r", range(100, 110))), run_of(busy))[0][1] == "same"
    for sample in busy["samples"]:
        sample["busy"] = True
    assert compare.compare(run_of(row_of("r", range(100, 110))), run_of(busy))[0][1] == "others kept the host busy"


def test_comparison_knows_how_much_the_host_has_changed():
    def controls(factor):
        return [row_of(f"c{i}.host", [factor * value for value in range(100, 104)]) for i in range(5)]

    def both(factor, rise):
        old = run_of(row_of("r", range(100, 110)), row_of("m", range(100, 110), unit="MiB"), *controls(1))
        new = run_of(row_of("r", [rise * value for value in range(100, 110)]),
                     row_of("m", [rise * value for value in range(100, 110)], unit="MiB"), *controls(factor))
        return {row["id"]: verdict for row, verdict, *_ in compare.compare(old, new)}, compare.lines(old, new)[0]

    found, lines = both(1.5, 1.4)       # the host is slower by half: this is no news, but for memory
    assert (found["r"], found["m"]) == ("same", "worse") and any("up to 50% faster or slower" in line for line in lines)
    found, lines = both(1.5, 1.6)
    assert found["r"] == "worse", lines
    found, lines = both(1 / 1.5, 1.4)   # a host that changes by that much may do so in both directions
    assert found["r"] == "same", lines
    found, lines = both(1.02, 1.4)
    assert found["r"] == "worse" and not any("itself" in line for line in lines), lines


def test_comparison_leaves_groups_out_that_one_run_lacks():
    old, new = run_of(row_of("r", range(100, 110))), run_of(row_of("r", range(100, 110)), row_of("n", [1]))
    new["rows"][1]["group"] = "other"
    assert [row["id"] for row, *_ in compare.compare(old, new)] == ["r"]
    assert [row["id"] for row, *_ in compare.compare(new, old)] == ["r"]


def test_results_files_are_checked(tmp_path):
    path = tmp_path / "results.json"
    good = run_of(row_of("r", [1, 2]))
    results.save(str(path), good)
    assert results.load(str(path)) == good
    broken = [b"", b"{", b"[]", b"null", b"[" * 100000, b'{"format": "cordon-bench"}', b"\xff\xfe"]
    for field, value in [("version", 2), ("version", None), ("rows", {}), ("rows", [1]), ("host", []), ("notes", 3),
                         ("groups", None), ("groups", []), ("cordon", 1)]:
        broken.append(json.dumps({**good, field: value}).encode())
    for field, value in [("samples", [{}]), ("samples", [{"value": "1"}]), ("samples", [{"value": True}]), ("title", None),
                         ("better", "x"), ("reason", 1), ("x", "1"), ("samples", [{"value": 1, "phases": {"a": "b"}}])]:
        broken.append(json.dumps({**good, "rows": [{**good["rows"][0], field: value}]}).encode())
    broken.append(json.dumps(good).replace("1", "NaN", 1).encode())
    broken += [json.dumps(run_of(row_of("r", [value]))).encode() for value in (10 ** 400, -10 ** 400, 1e101)]
    for data in broken:
        path.write_bytes(data)
        with pytest.raises(results.BadResults):
            results.load(str(path))
    with pytest.raises(results.BadResults, match="No such file"):
        results.load(str(tmp_path / "none"))


def test_results_files_do_not_command_a_terminal(tmp_path):
    path = tmp_path / "results.json"
    results.save(str(path), run_of(row_of("r", [1, 2], title="a\x1b[2J\u202eb")))
    run = results.load(str(path))
    assert run["rows"][0]["title"] == "a?[2J?b"
    assert all(c.isprintable() for line in table.text(run) for c in line)


def test_results_files_have_bounds(tmp_path):
    path = tmp_path / "results.json"
    results.save(str(path), run_of(row_of("r", [1] * results.SAMPLES)))
    results.load(str(path))
    for run in (run_of(row_of("r", [1] * (results.SAMPLES + 1))), run_of(*[row_of(f"r{n}", [1]) for n in range(results.ROWS + 1)])):
        results.save(str(path), run)
        with pytest.raises(results.BadResults):
            results.load(str(path))


def test_results_are_written_whole_or_not(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    results.write_file(str(path), "old")
    real = open

    def full(name, mode="r", **options):
        file = real(name, mode, **options)
        if mode in ("w", "x"):
            file.close()
            file = real("/dev/full", "w", **options)
        return file

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(OSError):
        results.write_file(str(path), "new" * 10000)
    monkeypatch.undo()
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["results.json"]


def test_results_are_not_written_through_links_of_others(tmp_path):
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.write_text("kept")
    out.mkdir()
    for name in ("results.json", "results.json.new"):
        os.symlink(mine, out / name)
    results.write_file(str(out / "results.json"), "new")
    assert mine.read_text() == "kept" and (out / "results.json").read_text() == "new" and not (out / "results.json").is_symlink()


def test_a_signal_leaves_no_part_of_a_file(tmp_path, monkeypatch):
    def stop(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        results.write_file(str(tmp_path / "results.json"), "new")
    assert os.listdir(tmp_path) == []


def test_reasons_are_short_and_do_not_command_a_terminal():
    def fail(_bench):
        raise NotMeasured("a\x1b[2J" + "b" * 10000)

    taken = measure(Probe([Row("a", "a", "ms")], fail))[0]
    reason = results.row_entry(Group("start", "g", "G", []), taken.probe.rows[0], [], taken.reason)["reason"]
    assert reason.startswith("a?[2Jb") and len(reason) <= runner.REASON


def test_probes_take_turns():
    order = []

    def probe(name):
        return Probe([Row(name, name, "ms")], lambda _b: order.append(name) or {name: 1}, rounds=3)

    taken = measure(probe("a"), probe("b"))
    assert order == ["a", "b"] * 3
    assert [len(one.samples[one.probe.rows[0].id]) for one in taken] == [3, 3]


def test_one_that_fails_leaves_the_others():
    def fail(problem):
        def sample(_bench):
            raise problem
        return sample

    finished = []
    probes = [Probe([Row("a", "a", "ms")], fail(NotMeasured("no such program"))),
              Probe([Row("b", "b", "ms")], fail(ValueError("nonsense"))),
              Probe([Row("c", "c", "ms")], lambda _b: {"c": float("nan")}),
              Probe([Row("d", "d", "ms")], lambda _b: {"d": Figure(4, {"one": 1})}, rounds=2,
                    finish=lambda _b: finished.append("d")),
              Probe([Row("e", "e", "ms")], lambda _b: {"e": 1}, prepare=fail(NotMeasured("not installed")))]
    taken = {one.probe.rows[0].id: one for one in measure(*probes)}
    assert taken["a"].reason == "no such program" and not taken["a"].samples["a"]
    assert "nonsense" in taken["b"].reason and not taken["b"].samples["b"]
    assert taken["c"].reason and not taken["c"].samples["c"]
    assert [sample["value"] for sample in taken["d"].samples["d"]] == [4, 4]
    assert taken["e"].reason == "not installed"
    assert finished == ["d"]


def test_a_hanging_one_is_not_tried_again():
    tries = []

    def sample(_bench):
        tries.append(1)
        raise TimedOut("it did not end within 5 s")

    taken = measure(Probe([Row("a", "a", "ms")], sample, rounds=9))
    assert len(tries) == 1 and taken[0].reason == "it did not end within 5 s"


def test_an_execution_can_give_several_samples():
    taken = measure(Probe([Row("a", "a", "ms")], lambda _b: {"a": [1, Figure(2), 3]}, rounds=2))
    assert [sample["value"] for sample in taken[0].samples["a"]] == [1, 2, 3] * 2


def test_an_interrupted_group_is_finished():
    finished = []

    def sample(_bench):
        if finished or len(samples) == 2:
            raise KeyboardInterrupt
        samples.append(1)
        return {"a": 1}

    samples = []
    group = Group("start", "g", "G", [Probe([Row("a", "a", "ms")], sample, finish=lambda _b: finished.append(1))])
    taken, stopped = runner.run_group(FakeBench(), group, runner.time.monotonic() + 60)
    assert isinstance(stopped, KeyboardInterrupt) and finished == [1]
    assert len(taken[0].samples["a"]) == 2


def test_busy_samples_are_marked_and_repeated(monkeypatch):
    loads = iter([2.0, 0.0, 2.0, 0.0, 0.0] + [0.0] * 100)
    monkeypatch.setattr(load.Window, "others", lambda self: next(loads))
    taken = measure(Probe([Row("a", "a", "ms")], lambda _b: {"a": 1}, rounds=3))
    assert [bool(sample.get("busy")) for sample in taken[0].samples["a"]] == [True, False, True, False, False]
    # A host that is never quiet does not keep the run from ending.
    monkeypatch.setattr(load.Window, "others", lambda self: 2.0)
    taken = measure(Probe([Row("a", "a", "ms")], lambda _b: {"a": 1}, rounds=3))
    assert len(taken[0].samples["a"]) == 6


def test_counts_do_not_depend_on_load(monkeypatch):
    monkeypatch.setattr(load.Window, "others", lambda self: 2.0)
    taken = measure(Probe([Row("a", "a", "instructions")], lambda _b: {"a": 1}, rounds=3, counts=True))
    assert [sample["others"] for sample in taken[0].samples["a"]] == [2.0] * 3
    assert not any("busy" in sample for sample in taken[0].samples["a"])


def test_time_limit_leaves_one_round():
    taken = measure(Probe([Row("a", "a", "ms")], lambda _b: {"a": 1}, rounds=3), seconds=-1)
    assert len(taken[0].samples["a"]) == 1
    assert taken[0].reason == "1 of 3 samples: time limit"


def test_rows_have_one_meaning():
    probe = Probe([Row("a", "a", "ms")], lambda _b: {})
    with pytest.raises(ValueError):
        rows_of([Group("start", "g", "G", [probe, probe])])


def test_table_shows_units_tails_and_reasons():
    rows = [row_of("host", [2.0] * 10), row_of("guest", [float(n) for n in range(1, 101)], against="host"),
            row_of("rate", [float(n) for n in range(1, 101)], better="more", unit="MB/s"),
            row_of("missing", [], reason="crun is not installed: Debian has it in crun")]
    lines = table.text(run_of(*rows))
    guest = next(line for line in lines if "guest" in line)
    assert "50.5 ms" in guest and "90.0 ms" in guest and "99.0 ms" in guest and "25.2 x host" in guest
    rate = next(line for line in lines if "rate" in line)
    assert "10.0 MB/s" in rate and "1.00 MB/s" in rate, rate
    assert any("not measured: crun is not installed" in line for line in lines)


def test_table_is_as_wide_as_its_group_needs():
    run = run_of(row_of("one", [1.0]), row_of("two", [1.0], title="a title of more than a few characters"))
    run["rows"][1]["group"] = "other"
    run["groups"].append({**run["groups"][0], "name": "other", "note": "a note of many words " * 20})
    lines = table.text(run)
    assert next(line for line in lines if line.startswith("  one")).index("1.00 ms") < 20
    assert all(len(line) <= table.WIDTH for line in lines)


def test_shown_numbers():
    assert table.show(0.5, "ms") == "0.50 ms"
    assert table.show(12345, "us") == "12.3 ms"
    assert table.show(2048, "KiB") == "2.00 MiB"
    assert table.show(5330000, "instructions") == "5.33 M"
    assert table.show(437000.4, "1/s") == "437,000 a second"


def test_report_takes_no_text_literally(tmp_path):
    evil = "<script>x</script> | `rm -rf` 'a' \" \\ system('x')"
    run = run_of(row_of("r", [1.0, 2.0, 3.0], title=evil))
    report.write(str(tmp_path), run, [])
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page and "http" not in page.replace("http://www.w3.org/", "")
    assert "\\|" in (tmp_path / "report.md").read_text()
    assert plot.plain(evil).translate(str.maketrans("", "", "'\"`\\|")) == plot.plain(evil)


@pytest.mark.parametrize("kind", [kind for kind in plot.KINDS if kind])
def test_plots(kind):
    if not plot.available():
        pytest.fail("gnuplot is missing: run 'make deps'")
    rows = [row_of("one", [1.0, 2.0, 3.0], series="s", x=1),
            row_of("two", [2.0, 3.0, 9.0], series="s", x=2, against="one")]
    for row in rows:
        for sample in row["samples"]:
            sample["phases"] = {"first": 0.5, "second": 0.25}
    run = run_of(*rows)
    run["groups"][0]["plot"] = kind + (":N" if kind == "curves" else "")
    drawn = plot.of_run(run, "start")
    assert drawn and all(svg.startswith("<svg") and svg.rstrip().endswith("</svg>") for _, _, svg in drawn)
    # A group without any sample has no plot, and no error.
    run["rows"] = [row_of("one", [])]
    assert plot.of_run(run, "start") == []


@pytest.mark.parametrize("kind", plot.KINDS)
def test_plots_of_any_numbers(kind, monkeypatch):
    monkeypatch.setattr(plot, "draw", lambda script, height: None)
    for values in ([0] * 3, [-1, -2, -3], [1e100, 1e-100, 1], [1e-300] * 3):
        for other in ([0] * 3, [1e100] * 3, [1e-300] * 3):
            run = run_of(row_of("one", values, against="two", series="s", x=1), row_of("two", other, against="one", series="s", x=1))
            run["groups"][0]["plot"] = kind
            plot.of_run(run, "start")
            table.text(run)


def test_a_plot_names_every_phase():
    if not plot.available():
        pytest.fail("gnuplot is missing: run 'make deps'")
    row = row_of("one", [9.0] * 3, title="the guest's boot: " + "a long title " * 3)
    names = [f"the guest's phase {n} until it is over" for n in range(9)]
    for sample in row["samples"]:
        sample["phases"] = dict.fromkeys(names, 1.0)
    svg = plot.phases([row])
    assert all(name.replace("'", "\u2019") in svg for name in names), svg


def test_axes_of_ratios_read_as_the_table():
    assert plot.decades(0.0005, 20) == "set xtics ('1/10,000' 1e-4, '1/1,000' 1e-3, '1/100' 1e-2, '1/10' 1e-1, '1' 1e0, '10' 1e1, '100' 1e2)\n"


def test_document_between_marks(tmp_path):
    path = tmp_path / "performance.md"
    begin, end = (mark.format("hardware") for mark in report.MARKS)
    path.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    report.write_doc(str(path), run_of(row_of("r", [1.0, 2.0])))
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text and "1.50 ms" in text
    assert os.listdir(tmp_path / "plots")
    path.write_text("no marks\n")
    with pytest.raises(results.BadResults):
        report.write_doc(str(path), run_of(row_of("r", [1.0, 2.0])))
    assert path.read_text() == "no marks\n"
    for other, words in ((tmp_path / "none.md", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(results.BadResults, match=words):
            report.read_doc(str(other), {"kvm": "hardware"})


def test_load_of_processes():
    text = "7 (a b) c) S 3 7 7 0 -1 0 0 0 0 0 100 50 25 25 20 0 1 0"
    parent, seconds = load.parse_stat(text)
    assert parent == 3 and seconds == pytest.approx(200 / load.TICK)
