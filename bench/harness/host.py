# SPDX-License-Identifier: Apache-2.0
"""Facts about the host that figures depend on."""

import glob
import json
import os
import platform
import re
import subprocess

FACTS = "/sys/devices/system/cpu/vulnerabilities"


def read(path):
    """The text of a small file without its last newline; empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def processor():
    found = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    return found[1] if found else platform.machine()


def memory_mib():
    found = re.search(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"), re.M)
    return int(found[1]) // 1024 if found else 0


def cgroups():
    """Mount options of the control groups: favordynmods and the like change what a fork costs."""
    lines = [line.split() for line in read("/proc/mounts").splitlines()]
    return sorted({f"{kind} {options}" for _, _, kind, options, *_ in lines if kind.startswith("cgroup")})


def doctor(cordon):
    """What `cordon doctor --json` says, or {}: also an unhealthy host has facts."""
    try:
        done = subprocess.run([cordon, "doctor", "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=60, check=False)
        return json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}


def problem(report):
    """Why no sandbox can run here, or an empty text."""
    if report.get("healthy"):
        return ""
    found = [f"{check['name']}: {check['found']}" for check in report.get("checks", []) if check.get("verdict") == "FAIL"]
    return found[0] if found else "cordon doctor failed"


def facts(report):
    """What results.json says of the host. `kvm` is doctor's word for the kind of host."""
    governor = sorted({read(path) for path in glob.glob("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")})
    return {
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_mib": memory_mib(),
        "kernel": platform.release(),
        "kvm": report.get("host", "unknown"),
        "governor": ", ".join(governor) or "not shown",
        "mitigations": {os.path.basename(path): read(path) for path in sorted(glob.glob(FACTS + "/*"))},
        "cgroups": cgroups(),
        "huge_pages": read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load_at_start": os.getloadavg()[0],
        "in_lab": bool(os.environ.get("CORDON_LAB")),
    }


def emulated(host):
    """Whether the guest's kernel is emulated here: by this KVM, as doctor sees it, or with the whole machine."""
    return host.get("kvm") == "ring0-emulated" or bool(host.get("in_lab"))


def kind(host):
    """The kind of KVM, for people, after "KVM: "."""
    if host.get("in_lab"):
        return "in an emulated machine (the lab)"
    return {"ring0-emulated": "emulates ring 0 of the guest",
            "hardware": "runs the guest on hardware"}.get(str(host.get("kvm")), "of an unknown kind")
