# SPDX-License-Identifier: Apache-2.0
"""`make install` and `make uninstall`, with blanks in the directory; what was there before stays."""
import json
import os
import subprocess

from test_manual import BUILD, TOP, verbs

THEIRS = ("bin/other", "lib/other/file", "share/man/man1/other.1", "share/bash-completion/completions/other",
          "share/other/policies/x")


def make(target, prefix, **more):
    words = [f"{name}={value}" for name, value in more.items()]
    # What is installed is built already: `all` would look for a newer kernel configuration.
    subprocess.run(["make", "-s", "-C", TOP, "-o", "all", target, f"BUILD={BUILD}", f"PREFIX={prefix}", *words],
                   check=True, capture_output=True)


def files(top):
    return sorted(os.path.relpath(os.path.join(path, name), top) for path, _dirs, names in os.walk(top) for name in names)


def put_theirs(prefix):
    for name in THEIRS:
        os.makedirs(os.path.join(prefix, os.path.dirname(name)), exist_ok=True)
        with open(os.path.join(prefix, name), "w", encoding="utf-8"):
            pass


def test_uninstall_takes_back_what_install_put(tmp_path):
    prefix = str(tmp_path / "a b")
    put_theirs(prefix)
    make("install", prefix)
    there = files(prefix)
    expected = {"bin/cordon", "lib/cordon/vmlinux", "lib/cordon/initramfs", "share/man/man5/cordon-policy.5",
                "share/cordon/policies/agent.policy", "share/bash-completion/completions/cordon",
                *(f"share/man/man1/cordon-{verb}.1" for verb in verbs())}
    assert not expected - set(there), expected - set(there)
    # It finds its files beside it, wherever it was put, without anything of the build.
    shown = subprocess.run([os.path.join(prefix, "bin/cordon"), "doctor", "--json"], capture_output=True, text=True)
    kernel = [check["found"] for check in json.loads(shown.stdout)["checks"] if check["name"] == "guest kernel"]
    assert kernel and prefix in kernel[0] and "lib/cordon/vmlinux" in kernel[0], shown.stdout
    make("uninstall", prefix)
    assert files(prefix) == sorted(THEIRS), files(prefix)
    make("uninstall", prefix)               # once more: nothing to do, and no error


def test_install_below_a_destdir(tmp_path):
    stage = str(tmp_path / "a stage")
    make("install", "/opt/a b", DESTDIR=stage)
    assert os.path.exists(os.path.join(stage, "opt/a b/bin/cordon")) and os.listdir(stage) == ["opt"]
    make("uninstall", "/opt/a b", DESTDIR=stage)
    assert files(stage) == []
