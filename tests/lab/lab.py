#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a command in the lab: a Linux with a true kvm-amd, itself emulated by QEMU (docs/lab.md).

The command sees the host's files (writes go to memory and are lost), runs as L1's root in the current
directory, and has a /dev/kvm with the semantics of hardware. Its stdout, stderr and exit status are
those of this program. 124 is the time limit, 125 that the lab itself failed.

Everything that this program makes lives in pipes and memory files, and the kernel kills QEMU with it:
nothing stays behind, even if this program is killed.
"""
import argparse
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_PDEATHSIG = 1
KEEP_ENV = ("HOME", "LANG", "LC_ALL", "PATH", "TERM", "TMPDIR", "USER", "XDG_CACHE_HOME")
LAB_FAILED = 125
TIMED_OUT = 124
PULSE_SECONDS = 240         # L1 writes a pulse every 5 s of its clock; a machine this long without one is stuck


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


def cpio_file(name, data, mode):
    """A `newc` archive with one file; the kernel unpacks one archive after the other."""
    def entry(name, data, mode):
        fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out = b"070701" + b"".join(b"%08X" % f for f in fields) + name + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        return out + b"\0" * (-len(out) % 4)
    return entry(name, data, 0o100000 | mode) + entry(b"TRAILER!!!", b"", 0)


def job_script(args):
    """What L1 runs: the directory, some of the environment, the command."""
    lines = ["#shell"] if args.shell else ["#job"]
    env = {k: v for k, v in os.environ.items() if k in KEEP_ENV or k.startswith("CORDON_")}
    env["CORDON_LAB"] = "1"
    env["XDG_RUNTIME_DIR"] = "/run/user/0"
    lines += [f"export {k}={shlex.quote(v)}" for k, v in env.items() if k.isidentifier()]
    lines.append(f"cd {shlex.quote(os.getcwd())} || exit {LAB_FAILED}")
    if args.results:
        lines.append("/run/lab/busybox mkdir -p /run/lab/results && /run/lab/busybox mount -t 9p "
                     "-o trans=virtio,version=9p2000.L,msize=512000 results /run/lab/results || "
                     f"exit {LAB_FAILED}")
        lines.append("export LAB_RESULTS=/run/lab/results")
    command = args.command or (["bash", "-l"] if shutil.which("bash") else ["sh"])
    lines.append("exec " + " ".join(shlex.quote(word) for word in command))
    return ("\n".join(lines) + "\n").encode()


def memory_file(name, *parts):
    fd = os.memfd_create(name, 0)
    with os.fdopen(os.dup(fd), "wb") as out:
        for part in parts:
            out.write(part)
    return fd


class Pipe:
    """One virtio-serial port, or the console: a pipe that QEMU writes, and the data that came out of it."""

    def __init__(self, name, sink=None):
        self.name = name
        self.read_fd, self.write_fd = os.pipe()
        self.sink = sink
        self.data = b""
        self.last = time.monotonic()        # when data last came
        self.thread = threading.Thread(target=self._copy, daemon=True)

    def _copy(self):
        while True:
            data = os.read(self.read_fd, 65536)
            if not data:
                return
            self.last = time.monotonic()
            if self.sink is None:
                self.data = (self.data + data)[-65536:]
                continue
            try:
                while data:
                    data = data[os.write(self.sink, data):]
            except OSError:
                self.sink = None        # no reader: go on without it, as a shell would not

    def start(self):
        os.close(self.write_fd)
        self.thread.start()

    def args(self, number):
        return ["-add-fd", f"fd={self.write_fd},set={number}",
                "-chardev", f"file,id={self.name},path=/dev/fdset/{number},append=on"]


def qemu_command(args, directory, initrd_fd, pipes):
    cmdline = ("console=ttyS0 quiet panic=-1 mitigations=off nokaslr nowatchdog no_timer_check "
               "rcupdate.rcu_cpu_stall_suppress=1 tsc=reliable " + args.append)
    command = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "q35,hpet=off", "-cpu", "max,la57=off",
        "-smp", str(args.cpus), "-m", args.mem, "-nic", "none",
        "-kernel", os.path.join(directory, "vmlinux"), "-initrd", f"/proc/self/fd/{initrd_fd}",
        "-append", cmdline.strip(),
        "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=host,mount_tag=host", "-device", "virtio-serial-pci",
    ]
    # Several processors emulated by one thread make nested guests hang (docs/lab.md).
    if args.icount:
        command += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    else:
        command += ["-accel", "tcg,thread=multi"]
    if args.results:
        path = os.path.abspath(args.results).replace(",", ",,")
        command += ["-fsdev", f"local,id=results,path={path},security_model=none",
                    "-device", "virtio-9p-pci,fsdev=results,mount_tag=results"]
    for number, pipe in enumerate(pipes, 1):
        command += pipe.args(number)
        if pipe.name == "console":
            command += ["-serial", "chardev:console"]
        else:
            command += ["-device", f"virtserialport,chardev={pipe.name},name={pipe.name}"]
    if args.shell:
        command += ["-serial", "mon:stdio"]
    return command + args.qemu_arg


def die_with_parent(parent):
    def child():
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(LAB_FAILED)
        if os.isatty(0) is False:
            os.setsid()
    return child


def wait_for(qemu, pulse, timeout):
    """Wait until QEMU ends by itself (None) or has to be ended: TIMED_OUT or LAB_FAILED."""
    end = time.monotonic() + timeout if timeout > 0 else float("inf")
    while True:
        try:
            qemu.wait(1)
            return None
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if now > end:
            say(f"time limit of {timeout} s reached")
            return TIMED_OUT
        if pulse and now - pulse.last > PULSE_SECONDS:
            say(f"L1 is stuck: no pulse for {PULSE_SECONDS} s")
            return LAB_FAILED


def run(args):
    build = subprocess.run([os.path.join(HERE, "build.sh")], stdout=subprocess.PIPE, text=True)
    if build.returncode:
        return LAB_FAILED
    directory = build.stdout.strip()

    with open(os.path.join(directory, "initrd.cpio"), "rb") as base:
        initrd_fd = memory_file("initrd", base.read(), cpio_file(b"job", job_script(args), 0o755))
    pipes = [Pipe("status")]
    pulse = None
    if not args.shell:
        if not args.icount:                 # with -icount waiting takes no time, and a pulse would be counted
            pulse = Pipe("pulse")
            pipes.append(pulse)
        pipes += [Pipe("stdout", 1), Pipe("stderr", 2), Pipe("console", 2 if args.console else None)]
    command = qemu_command(args, directory, initrd_fd, pipes)
    if args.verbose:
        say(shlex.join(command))
    qemu = subprocess.Popen(
        command, stdin=None if args.shell else subprocess.DEVNULL,
        pass_fds=[initrd_fd] + [p.write_fd for p in pipes], preexec_fn=die_with_parent(os.getpid()))
    try:
        for pipe in pipes:
            pipe.start()
        ended = wait_for(qemu, pulse, args.timeout)
    finally:
        if qemu.poll() is None:
            qemu.kill()
            qemu.wait()
    for pipe in pipes:
        pipe.thread.join(10)
    if ended == TIMED_OUT:
        return TIMED_OUT
    status = pipes[0].data.strip()
    if status.isdigit():
        return int(status)
    say(f"L1 ended without a status (QEMU: {qemu.returncode}); its console said last:")
    if pipes[-1].name == "console":
        sys.stderr.buffer.write(pipes[-1].data[-4000:] + b"\n")
    return LAB_FAILED


def main():
    parser = argparse.ArgumentParser(
        prog="run.sh", description="Run a command in an emulated machine that has a true kvm-amd.")
    parser.add_argument("--cpus", type=int, help="processors of L1 (2; 1 with --icount)")
    parser.add_argument("--mem", default="3G", help="memory of L1 (3G); its files live there too")
    parser.add_argument("--icount", action="store_true",
                        help="a nanosecond an instruction: times are counts; one processor")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds (3600; 0: none)")
    parser.add_argument("--shell", action="store_true", help="a shell (or CMD) on this terminal")
    parser.add_argument("--results", metavar="DIR",
                        help="a host directory that the command may write, as $LAB_RESULTS")
    parser.add_argument("--console", action="store_true", help="L1's console to stderr")
    parser.add_argument("--append", default="", help="more words for L1's kernel command line")
    parser.add_argument("--qemu-arg", action="append", default=[], help="one more QEMU argument")
    parser.add_argument("-v", "--verbose", action="store_true", help="show QEMU's command line")
    parser.add_argument("command", nargs="*", metavar="CMD")
    args = parser.parse_args()
    args.cpus = args.cpus or (1 if args.icount else 2)
    if args.icount and args.cpus != 1:
        parser.error("--icount works with one processor only")
    if not args.command and not args.shell:
        parser.error("no command (or --shell)")
    if not shutil.which("qemu-system-x86_64"):
        say("qemu-system-x86_64 is missing: install the package qemu-system-x86")
        return LAB_FAILED

    def stop(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    return run(args)


sys.exit(main())
