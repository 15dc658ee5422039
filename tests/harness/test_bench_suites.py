# SPDX-License-Identifier: Apache-2.0
"""The suites of `cordon bench`: their rows, and what they make of a program's output; without a sandbox."""
import http.client
import io
import json
import os
import sys
import tarfile

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "bench"))
from harness import plot, table  # noqa: E402
from harness.context import Bench  # noqa: E402
from harness.model import NotMeasured, Row, rows_of  # noqa: E402
from suites import figures, registry, throughput  # noqa: E402


class FakeBench:
    """What the plan of a suite needs of a Bench."""
    size = Bench.size

    def __init__(self, quick, emulated):
        self.quick, self.emulated = quick, emulated

    def path(self, *names):
        return os.path.join("/nonexistent", *names)


ROWS = [Row("t.a", "a", "MB/s"), Row("t.b.host", "b", "us")]


def test_figures_of_a_program():
    assert figures.parse(b"a 1.5e3 MB/s\nb.host 2 us\n", "t.", ROWS) == {"t.a": 1500, "t.b.host": 2}
    assert figures.parse(b"a 0 MB/s\n", "t.", ROWS) == {"t.a": 0}


@pytest.mark.parametrize("text", [b"", b"\n", b"a 1\n", b"a 1 MB/s more\n", b"c 1 MB/s\n", b"a x MB/s\n", b"a 1 us\n",
                                  b"a nan MB/s\n", b"a inf MB/s\n", b"a -1 MB/s\n", b"\xff\x00\x1b[2J\n",
                                  b"a 1 MB/s\nSegmentation fault\n"])
def test_nonsense_is_no_figure(text):
    with pytest.raises(NotMeasured) as problem:
        figures.parse(text, "t.", ROWS)
    assert str(problem.value).isprintable()


def test_rows_of_guest_and_host():
    guest, host = figures.twin("t.x", "x", "MB/s", "pread")
    assert (guest.against, guest.better) == (host.id, "more")
    assert figures.twin("t.x", "x", "us", "pread")[0].better == "less"


def test_table_says_the_hosts():
    def entry(row, value):
        return {"id": row.id, "title": row.title, "unit": row.unit, "better": row.better, "against": row.against,
                "samples": [{"value": value}]}

    guest, host = figures.twin("t.x", "x", "MB/s", "pread")
    rows = {row.id: entry(row, value) for row, value in ((guest, 2), (host, 500))}
    assert table.ratio_text(rows[guest.id], rows) == "1/250 of the host's"
    rows[guest.id]["samples"] = [{"value": 250}]
    assert table.ratio_text(rows[guest.id], rows) == "0.50 x the host's"
    assert table.ratio_text(rows[host.id], rows) == ""


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("emulated", [False, True])
def test_plan(quick, emulated):
    """Ids are unique, and what a row is measured against is a row of the same unit."""
    groups = throughput.groups(FakeBench(quick, emulated), None)
    rows = rows_of(groups)
    assert all(row.id.startswith("throughput.") for row in rows.values())
    assert all(rows[row.against].unit == row.unit for row in rows.values() if row.against)
    assert len({group.name for group in groups}) == len(groups)
    for group in groups:
        assert group.seconds > 0 and group.plot in plot.KINDS
        units = {row.unit for probe in group.probes for row in probe.rows}
        assert group.plot != "bars" or len(units) == 1, f"{group.name}: one axis for {units}"


def fetch(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, body


def test_registry_for_npm():
    made = registry.Registry(4)
    try:
        document = json.loads(made.document("p0", "host:1"))
        version = document["versions"][document["dist-tags"]["latest"]]
        assert version["dependencies"] == {"p1": "1.0.0", "p2": "1.0.0"}
        assert version["dist"]["tarball"] == "http://host:1/p0.tgz"
        status, body = fetch(made.port, "/p3.tgz")
        names = tarfile.open(fileobj=io.BytesIO(body)).getnames()
        assert status == 200 and names[:2] == ["package/package.json", "package/index.js"]
        assert fetch(made.port, "/p4")[0] == 404
    finally:
        made.close()
