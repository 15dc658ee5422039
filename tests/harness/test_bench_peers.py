# SPDX-License-Identifier: Apache-2.0
"""The peers of `cordon bench`: programs that work, hang, fail, print nonsense or are missing; all of them fakes."""
import os
import shutil
import subprocess
import sys
import types

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "bench"))
from harness import context, load, runner  # noqa: E402
from harness.model import NotMeasured, Problem  # noqa: E402
from peers import bubblewrap, cloud_hypervisor, firecracker, kvmtool, oci, qemu, qemu_snapshot, start  # noqa: E402
from peers.start import Start  # noqa: E402
from suites import peers, peers_lab, start as suite_start  # noqa: E402

# A monitor: it ends with the null guest, and runs as long as the idle guest does.
MONITOR = 'case "$*" in *idle*) exec sleep 600 ;; esac'
# A sandbox: what comes after -- runs.
SANDBOX = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'
# A QEMU that is saved while its guest waits, and restored.
SNAPSHOT = """#!{python}
import json, os, socket, subprocess, sys
if "-incoming" in sys.argv:
    sys.stdin.buffer.read(1)
    line = sys.stdin.readline()
    print(line.strip(), flush=True)
    sys.exit(subprocess.run(["/bin/sh", "-c", line], check=False).returncode)
listener = socket.socket(socket.AF_UNIX)
path = sys.argv[sys.argv.index("-qmp") + 1].split(":")[1].split(",")[0]
if os.path.exists(path):
    os.unlink(path)
listener.bind(path)
listener.listen(1)
print("ready", flush=True)
with listener.accept()[0].makefile("rwb") as peer:
    peer.write(b'{{"QMP": {{}}}}\\n')
    peer.flush()
    for line in peer:
        asked = json.loads(line)["execute"]
        reply = {{"status": "{status}"}} if asked == "query-migrate" else {{}}
        peer.write(b'{{"event": "X"}}\\n' + json.dumps({{"return": reply}}).encode() + b"\\n")
        peer.flush()
"""
# Adopts a chain of 150 processes, each in a session of its own, and ends it.
DEEP = """
import ctypes, os, signal, sys
sys.path.insert(0, sys.argv[1])
from harness import context
ctypes.CDLL(None).prctl(context.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
reader, writer = os.pipe()
depth = 0
while depth < 150 and os.fork() == 0:
    depth += 1
    os.setsid() if os.getpid() != os.getsid(0) else None
if depth:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(writer, b"x")
    os.close(writer)
    signal.pause()
os.close(writer)
with open(reader, "rb") as said:
    said.read(150)
print(len(context.tree(os.getpid())) - 1)
context.end_descendants()
print(sorted(context.children(os.getpid())))
"""
PROGRAMS = ("null.elf", "null.bin", "off.elf", "idle.elf", "idle.bin", "peer-init")


@pytest.fixture(name="bench")
def fixture_bench(tmp_path, monkeypatch):
    """A Bench whose programs are files, with a PATH of its own; install() puts a program there."""
    programs = tmp_path / "programs"
    (programs / "guest").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(name)
    (programs / "vmlinux").write_text("kernel")
    (tmp_path / "vmlinux").write_text("kernel")
    tools = {name: shutil.which(name) for name in ("sleep", "sh", "busybox", "yes", "make", "true", "echo")}
    monkeypatch.setattr(load.Window, "SHORTEST", 0.0)
    monkeypatch.setattr(load.Window, "others", lambda self: 0.0)
    # Not a whole Bench: it would look at this host, and adopt the processes of the tests.
    bench = context.Bench.__new__(context.Bench)
    bench.cordon, bench.programs, bench.quick, bench.lab = str(tmp_path / "bin" / "cordon"), str(programs), True, False
    bench.host, bench.emulated, bench.processes = {}, False, set()
    bench.directory = str(tmp_path / "run")
    os.mkdir(bench.directory)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(kvmtool.VARIABLE, raising=False)
    bench.environment = dict(os.environ)

    def install(name, script):
        path = tmp_path / "bin" / name
        path.write_text(f"#!{tools['sh']}\n{script}\n")
        path.chmod(0o755)
        return str(path)

    for name, path in tools.items():
        if path:
            os.symlink(path, tmp_path / "bin" / name)
    bench.install = install
    install("cordon", f'[ "$2" = -- ] && {{ {SANDBOX}; }}\n{MONITOR}')
    yield bench
    assert not bench.processes, "a process was left running"


def measured(bench, group):
    """{id of a row: (number of samples, reason)} of a group."""
    taken, stopped = runner.run_group(bench, group, runner.time.monotonic() + 60)
    assert stopped is None
    return {row.id.removeprefix("peers."): (len(one.samples[row.id]), one.reason) for one in taken for row in one.probe.rows}


def reason(function, *args):
    with pytest.raises(NotMeasured) as problem:
        function(*args)
    return str(problem.value)


def groups(bench, names=None):
    return {group.name: group for group in peers.groups(bench, types.SimpleNamespace(peers=names))}


def test_one_bad_peer_leaves_the_others(bench):
    bench.install("qemu-system-x86_64", MONITOR)
    bench.install("lkvm", "echo '  Error: Your CPU is too old' >&2; echo '  Fatal: it ends' >&2; exit 1")
    bench.install("firecracker", ":")
    found = measured(bench, groups(bench)["null-guest"])
    assert found["null.cordon"] == (15, "") and found["null.qemu"] == (15, "")
    assert found["null.kvmtool"] == (0, "lkvm ended with status 1: Error: Your CPU is too old")
    assert found["null.firecracker"][0] == 0 and "it ended while the guest must still have run" in found["null.firecracker"][1]
    assert found["null.cloud-hypervisor"][0] == 0 and "not installed" in found["null.cloud-hypervisor"][1]


def test_a_command_in_each(bench, monkeypatch):
    monkeypatch.setitem(peers.LIMITS, "command", 0.5)
    bench.install("bwrap", SANDBOX)
    bench.install("crun", "sleep 600 & sleep 600")
    bench.install("runc", "yes blah")
    bench.install("podman", "printf 'pale \\033[31mred\\n' >&2; exit 3")
    found = measured(bench, groups(bench)["command"])
    for name in ("cordon", "process", "bubblewrap"):
        assert found[f"command.{name}"] == (8, ""), found
    assert found["command.crun"] == (0, "crun did not end within 0.5 s: no message")
    assert found["command.runc"][1].startswith("runc did not end within 0.5 s: b")
    assert found["command.podman"] == (0, "podman ended with status 3: pale ?[31mred")


def test_a_program_that_always_has_something_to_say(bench, monkeypatch):
    monkeypatch.setattr(start.Outputs, "read", lambda self, fd: None)      # more comes than can be read
    assert "yes did not end within 0.1 s" in reason(start.execute, bench, Start(["yes"]), 0.1)


def test_a_program_that_talks_without_end(bench, monkeypatch):
    """Instead of its guest's output, and over its control socket: QEMU's place is taken by another program."""
    monkeypatch.setattr(qemu_snapshot, "SAVE_LIMIT", 0.2)
    bench.install("qemu-system-x86_64", "yes & yes & exec yes")
    work = types.SimpleNamespace(memory=1, kernel="", waiting="", cmdline="", boot_limit=0.2)
    assert "did not come to wait" in reason(qemu_snapshot.prepare, bench, work)
    reader, writer = os.pipe()
    os.write(writer, b'{"event": "\\u001b[2J"}\n' * 1000)
    os.close(writer)
    with open(reader, "rb") as said:
        assert "did not quit within" in reason(qemu_snapshot.ask, types.SimpleNamespace(
            write=len, flush=int, readline=said.readline), "quit", qemu_snapshot.time.monotonic() - 1)


def test_runs_at_once(bench, monkeypatch):
    assert len(suite_start.together(bench, 3)) == 3
    bench.install("cordon", "exit 3")
    assert reason(suite_start.together, bench, 3) == "one of 3 runs at once ended with status 3"
    monkeypatch.setattr(suite_start, "TOGETHER_LIMIT", 0.1)
    bench.install("cordon", "exec sleep 600")
    assert reason(suite_start.together, bench, 3) == "3 runs at once did not end within 0.1 s"


def test_a_program_that_runs_away(tmp_path):
    """Processes that leave their group and their parent end with the run, however deep they are."""
    script = tmp_path / "deep.py"
    script.write_text(DEEP)
    done = subprocess.run([sys.executable, script, os.path.join(TOP, "bench")], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "150\n[]\n", done


def test_a_program_that_does_something_else(bench):
    bench.install("bwrap", "echo hello")
    assert reason(peers.check_command, bench, bubblewrap) == "bubblewrap did not print what its command prints, but b'hello\\n'"
    bench.install("bwrap", ":")
    assert "but b''" in reason(peers.check_command, bench, bubblewrap)
    bench.install("bwrap", SANDBOX)
    peers.check_command(bench, bubblewrap)


def test_a_missing_program_names_its_package(bench):
    os.unlink(os.path.join(os.path.dirname(bench.cordon), "busybox"))
    assert "busybox-static" in reason(peers.work_of, bench)
    os.symlink("/bin/sh", os.path.join(os.path.dirname(bench.cordon), "busybox"))
    work = peers.work_of(bench)
    for peer, package in ((qemu, "qemu-system-x86"), (kvmtool, kvmtool.VARIABLE), (firecracker, "Debian has no package"),
                          (cloud_hypervisor, "Debian has no package")):
        text = reason(peer.null, bench, work)
        assert "is not installed" in text and package in text


def test_a_monitor_that_stops_its_guest_is_ended(bench):
    bench.install("qemu-system-x86_64", "echo 'KVM internal error. Suberror: 1' >&2; exec sleep 600")
    work = peers.work_of(bench)
    assert reason(start.execute, bench, qemu.boot(bench, work), 60) == \
        "qemu-system-x86_64 stopped: KVM internal error. Suberror: 1"
    assert "does not run a guest: KVM internal error" in reason(start.still_runs, bench, qemu.idle(bench, work), 60)


def test_a_snapshot_is_made_and_runs_a_command(bench):
    path = bench.install("qemu-system-x86_64", "")

    def become(text, **values):
        with open(path, "w", encoding="ascii") as file:
            file.write(text.format(python=sys.executable, **values))

    become(SNAPSHOT, status="completed")
    peers.check_command(bench, qemu_snapshot)
    become(SNAPSHOT, status="failed")
    assert reason(peers.check_command, bench, qemu_snapshot) == "QEMU could not save the machine"
    become("#!/bin/sh\necho 'KVM internal error. Suberror: 1'\nexec sleep 600\n")
    assert "KVM internal error" in reason(peers.check_command, bench, qemu_snapshot)
    become("#!/bin/sh\necho ready\n")
    assert reason(peers.check_command, bench, qemu_snapshot)


def test_what_the_lab_measured(bench, tmp_path, monkeypatch):
    lab = tmp_path / "lab"
    monkeypatch.setattr(peers_lab, "LAB", str(lab))
    only = ("lab-null-guest", "lab-linux")
    bench.lab = True
    text = reason(peers_lab.LabRun("").rows_of, bench)
    assert "source tree" in text
    lab.write_text("""#!/bin/sh
echo '{"id": "peers.null.cordon", "samples": [1, 2], "reason": ""}'
echo '{"id": "peers.null.qemu", "samples": [], "reason": "qemu is tired"}'
echo nonsense; echo '{"id": 3}'; echo '{"id": "peers.null.kvmtool", "samples": ["x"], "reason": ""}'
echo 'lab: L1 is stuck' >&2; echo '[ 1.0] kvm: words' >&2; exit 125
""")
    lab.chmod(0o755)
    found = {}
    for name, group in groups(bench).items():
        if name in only:
            found.update(measured(bench, group))
    assert found["lab.null.cordon"] == (2, "") and found["lab.null.qemu"] == (0, "qemu is tired")
    for name in ("lab.null.kvmtool", "lab.boot.cordon"):
        assert found[name] == (0, "the lab: L1 is stuck")


def test_memory_beyond_the_guest(bench, monkeypatch):
    text = ("7f0000000000-7f0010000000 rw-p 0 00:00 0\nSize:   131072 kB\nPss:   9000 kB\nPss_Dirty:  1 kB\n"
            "7f1000000000-7f1000100000 rw-p 0 00:00 0\nSize:     1024 kB\nPss:    300 kB\n"
            "7f2000000000-7f2000100000 r-xp 0 00:00 0\nSize:     2048 kB\nPss:     50 kB\n")
    monkeypatch.setattr(start, "read", lambda path: text)
    monkeypatch.setattr(start, "tree", lambda pid: [pid])
    assert start.beyond_guest(types.SimpleNamespace(pid=1), 131072) == 350
    monkeypatch.setattr(start, "read", lambda path: "")
    assert "no memory to see" in reason(start.beyond_guest, types.SimpleNamespace(pid=1), 131072)
    monkeypatch.undo()
    found = start.still_runs(bench, Start(["/bin/sleep", "600"]), 0.1, lambda p: start.beyond_guest(p, 131072))
    assert 0 < found < 65536


def test_kvmtool_is_built_from_a_copy_of_its_source(bench, tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    monkeypatch.setenv(kvmtool.VARIABLE, str(source))
    assert "make ended with status" in reason(kvmtool.find, bench)
    shutil.rmtree(bench.path("kvmtool"))
    (source / "Makefile").write_text("lkvm:\n\t@echo '#!/bin/sh' >$@ && chmod 755 $@\n", encoding="ascii")
    monkeypatch.setenv("PATH", os.environ["PATH"] + ":/bin:/usr/bin")
    bench.environment = dict(os.environ)
    assert kvmtool.find(bench) == bench.path("kvmtool", "lkvm")
    assert os.listdir(source) == ["Makefile"]
    monkeypatch.setenv(kvmtool.VARIABLE, str(tmp_path / "none"))
    assert "no such program or directory" in reason(kvmtool.find, bench)


def test_names_of_peers():
    assert [peer.NAME for peer in peers.chosen("qemu, process")] == ["process", "qemu"]
    assert peers.chosen("none") == [] and peers.chosen(None) == peers.ALL
    assert [peer.NAME for peer in peers.chosen("qemu,")] == ["qemu"]
    for names in ("qmeu", "none,qemu", "QEMU"):
        with pytest.raises(Problem) as problem:
            peers.chosen(names)
        assert "\n" not in str(problem.value) and all(peer.NAME in str(problem.value) for peer in peers.ALL)
    with pytest.raises(Problem, match="did you mean 'qemu'"):
        peers.chosen("qmeu")


def test_the_program_refuses_an_unknown_peer(tmp_path):
    done = subprocess.run([sys.executable, "-B", os.path.join(TOP, "bench", "main.py"), "--cordon=/nonexistent",
                           "--programs=/nonexistent", "--peers=docker", f"--out={tmp_path}/out"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 125 and not done.stdout
    assert done.stderr.startswith("cordon: bench: no peer 'docker': ") and done.stderr.count("\n") == 1
    assert not os.path.exists(tmp_path / "out")


def test_initramfs(bench, tmp_path):
    work = peers.work_of(bench)
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    with open(work.initrd, "rb") as file:
        subprocess.run(["busybox", "cpio", "-i"], stdin=file, cwd=unpacked, check=True, stderr=subprocess.DEVNULL)
    assert os.listdir(unpacked) == ["init"] and (unpacked / "init").read_text() == "peer-init"
    assert os.access(unpacked / "init", os.X_OK)


def test_bundle_without_root(monkeypatch):
    assert all(each["type"] != "user" for each in oci.config("/r", ["true"])["linux"]["namespaces"]) == (os.geteuid() == 0)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    config = oci.config("/r", ["true"])
    assert {"type": "user"} in config["linux"]["namespaces"] and config["linux"]["uidMappings"][0]["hostID"] == 1000
