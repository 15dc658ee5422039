# SPDX-License-Identifier: Apache-2.0
"""How long it takes until a sandbox works: null guest, boot, template, exec, attach, fork, restore, several at once.

Every time is that of a whole process, from just before the program starts until its exit has been
reaped. Phases come from the time stamps of `cordon run --verbose`; what remains is the start and the end of the process.
"""

import os
import select
import time

from harness.model import Figure, Group, NotMeasured, Probe, Row, TimedOut

BOX = "bench"
REST = "process start and end"
TOGETHER_LIMIT = 120        # seconds
# Marks of `cordon run --verbose`, and what the time since the mark before is called.
PHASES = {
    "machine created": "create VM and devices",
    "kernel loaded": "load kernel",
    "vCPUs running": "start vCPUs",
    "drivers ready": "guest's kernel until its drivers work",
    "agent connected": "guest until agent connects",
    "agent ready": "agent until ready",
    "template written": "write template",
    "command started": "command's fork and exec",
    "first output": "first output",
    "command ended": "command",
}


def timed_run(bench, *args):
    """`cordon run --verbose ARGS`: a Figure in ms with its phases."""
    began = time.perf_counter()
    marks, _ = bench.report_of(*args)
    total = (time.perf_counter() - began) * 1e3
    phases = {PHASES.get(mark, mark): took for mark, took in marks.items() if mark != "cordon started"}
    phases[REST] = max(0.0, total - sum(marks.values()))
    return Figure(total, phases)


def milliseconds(bench, *args, timeout=120):
    return bench.run_cordon(*args, timeout=timeout)[0] * 1e3


def make_template(bench):
    """The first run makes the template that all suites use, if there is none yet."""
    if not bench.has_template:
        bench.run_cordon("run", "--", "true", timeout=600)
        bench.run_cordon("run", "--", "true", timeout=600)
    bench.has_template = True


def start_box(bench):
    make_template(bench)
    bench.run_cordon("start", BOX)
    bench.run_cordon("exec", BOX, "--", "true")


def end_boxes(bench):
    bench.kill_sandboxes()


def process_group(bench):
    null = ("run", "--kernel", bench.program("null.elf"), "--memory", "64M")
    rows = [Row("start.process", "a process of the host: true", "ms"),
            Row("start.null", "null guest: create, run two instructions, destroy", "ms", against="start.process")]
    rounds = bench.size(60, quick=25)
    return Group("start", "null", "Null guest: the monitor and KVM alone", [
        Probe(rows[:1], lambda b: {"start.process": b.run(["/bin/true"])[0] * 1e3}, rounds),
        Probe(rows[1:], lambda b: {"start.null": timed_run(b, *null[1:])}, rounds)], seconds=4, plot="phases")


def boot_group(bench):
    rounds = bench.size(30, quick=5, emulated=1 if bench.quick else 4)
    row = Row("start.cold", "cold boot of the guest's kernel: run --cold -- true", "ms")
    return Group("start", "cold", "Cold boot", [
        Probe([row], lambda b: {row.id: timed_run(b, "--cold", "--memory", "128M", "--", "true")}, rounds)],
        seconds=9.0 * rounds if bench.emulated else 0.5 * rounds, plot="phases")


def warm_group(bench):
    rounds = bench.size(60, quick=20)
    rows = [Row("start.warm", "a command in a new sandbox: run -- true", "ms", against="start.process"),
            Row("start.start", "a sandbox that stays: start", "ms"),
            Row("start.exec", "a command in it: exec -- true", "ms", against="start.process"),
            Row("start.attach", "a line in a shell of it: attach -c true", "ms")]

    def start(b):
        took = milliseconds(b, "start", "other")
        b.run_cordon("kill", "other")
        return {"start.start": took}

    return Group("start", "warm", "From a template", [
        Probe(rows[:1], lambda b: {"start.warm": timed_run(b, "--", "true")}, rounds, prepare=make_template),
        Probe(rows[1:2], start, rounds // 2),
        Probe(rows[2:3], lambda b: {"start.exec": milliseconds(b, "exec", BOX, "--", "true")}, rounds,
              prepare=start_box, finish=end_boxes),
        Probe(rows[3:], lambda b: {"start.attach": milliseconds(b, "attach", "-c", "true", BOX)}, rounds // 4)],
        seconds=(22 if bench.quick else 100) if bench.emulated else 10, plot="phases")


def fork_group(bench):
    counts = [1, 4] if bench.quick else [1, 5, 10, 20]
    rounds = 3 if bench.quick else 10
    probes = []
    for count in counts:
        row = Row(f"start.fork.{count}", f"fork into {count}", "ms", series="fork", x=count)

        def sample(b, count=count, row=row):
            took = milliseconds(b, "fork", BOX, str(count))
            for number in range(count):
                b.run_cordon("kill", f"{BOX}-{number + 1}")
            return {row.id: took}

        first = not probes
        probes.append(Probe([row], sample, rounds, prepare=start_box if first else None, finish=end_boxes if first else None))
    return Group("start", "fork", "Fork of a running sandbox into N", probes, seconds=6 if bench.quick else 60, plot="curves:forks")


def restore_group(bench):
    sizes = [256] if bench.quick else [128, 256, 512, 1024, 2048]     # 256 is the default: its template is there
    probes = []
    for size in sizes:
        row = Row(f"start.restore.{size}", f"restore of {size} MiB", "ms", series="restore", x=size)
        path = bench.path(f"snapshot-{size}")

        def prepare(b, size=size, path=path):
            make_template(b)
            b.run_cordon("start", *([] if size == 256 else ["--memory", f"{size}M"]), "saved", timeout=600)
            b.run_cordon("snapshot", "--force", "saved", path)
            b.run_cordon("kill", "saved")

        def sample(b, row=row, path=path):
            took = milliseconds(b, "restore", path, "saved")
            b.run_cordon("kill", "saved")
            return {row.id: took}

        def finish(b, path=path):
            if os.path.exists(path):
                os.unlink(path)
            b.kill_sandboxes()

        probes.append(Probe([row], sample, bench.size(20, quick=8, emulated=10), prepare=prepare, finish=finish))
    boots = 12.0 * (len(sizes) - 1) if bench.emulated else len(sizes)
    return Group("start", "restore", "Restore of a snapshot by the guest's memory", probes, seconds=boots + (4 if bench.quick else 15), plot="curves:memory of the guest in MiB")


def together(bench, count):
    """Milliseconds of each of so many runs that start at once."""
    began = time.perf_counter()
    poll, running, times = select.poll(), {}, []
    try:
        for _ in range(count):
            process = bench.start([bench.cordon, "run", "--", "true"])
            ended = os.pidfd_open(process.pid)
            running[ended] = process
            poll.register(ended, select.POLLIN)
        while len(times) < count:
            ready = poll.poll(max(0.0, began + TOGETHER_LIMIT - time.perf_counter()) * 1e3)
            if not ready:
                raise TimedOut(f"{count} runs at once did not end within {TOGETHER_LIMIT} s")
            for ended, _ in ready:
                times.append((time.perf_counter() - began) * 1e3)
                poll.unregister(ended)
                if running[ended].wait() != 0:
                    raise NotMeasured(f"one of {count} runs at once ended with status {running[ended].returncode}")
    finally:
        for ended, process in running.items():
            os.close(ended)
            bench.stop(process)
    return times


def once_group(bench):
    probes = []
    for count in [1, 2, 4] if bench.quick else [1, 2, 4, 8, 16]:
        last = Row(f"start.once.{count}", f"{count} at once, until the last has ended", "ms", series="until the last has ended", x=count)
        each = Row(f"start.once.{count}.each", f"{count} at once, time for each", "ms", series="time for each", x=count)

        def sample(b, count=count, last=last, each=each):
            slowest = max(together(b, count))
            return {last.id: slowest, each.id: slowest / count}

        probes.append(Probe([last, each], sample, 4 if bench.quick else 10, prepare=make_template if not probes else None))
    return Group("start", "once", "run -- true, several at once", probes, seconds=10 if bench.quick else 60, plot="curves:at once")


def groups(bench, _options):
    return [process_group(bench), boot_group(bench), warm_group(bench), fork_group(bench), restore_group(bench),
            once_group(bench)]
