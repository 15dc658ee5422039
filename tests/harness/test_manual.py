# SPDX-License-Identifier: Apache-2.0
"""The manual pages that `make man` wrote: one per verb, with all of its options, and no formatter warning."""
import os
import re
import shutil
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CORDON_BUILD", os.path.join(TOP, "build"))
MAN = os.path.join(BUILD, "man")


def help_of(*verb):
    result = subprocess.run([os.path.join(BUILD, "cordon"), "help", *verb], capture_output=True, text=True, check=True)
    return result.stdout


def verbs():
    """In the help text, lines indented by two blanks begin with a verb, those of the example with `cordon`."""
    return [name for name in re.findall(r"^  ([a-z]+)\b", help_of(), re.MULTILINE) if name != "cordon"]


def page(name):
    with open(os.path.join(MAN, name), encoding="utf-8") as text:
        return text.read()


def test_a_page_for_each_verb():
    assert len(verbs()) > 20
    overview = page("cordon.1")
    for verb in verbs():
        text = page(f"cordon-{verb}.1")
        for section in ("NAME", "SYNOPSIS", "EXIT STATUS", "SEE ALSO"):
            assert f".SH {section}\n" in text, f"{verb}: {section}"
        assert f"Xr cordon-{verb} 1\n" in overview, verb


def test_a_page_names_each_option():
    count = 0
    for verb in verbs():
        text = page(f"cordon-{verb}.1")
        for option in re.findall(r"^  (?:-., |    )--([a-z-]+)", help_of(verb), re.MULTILINE):
            escaped = option.replace("-", r"\-")
            assert rf"\fB\-\-{escaped}\fR" in text, f"{verb}: --{option}"
            count += 1
    assert count > 60


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is missing")
def test_formatter_has_no_warning():
    names = sorted(os.listdir(MAN))
    assert len(names) > 20 and "cordon-policy.5" in names
    for name in names:
        result = subprocess.run(["groff", "-ww", "-z", "-mandoc", "-Tutf8", os.path.join(MAN, name)],
                                capture_output=True, text=True, check=True)
        assert result.stderr == "", f"{name}: {result.stderr}"


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is missing")
def test_formatter_warns_of_a_bad_page(tmp_path):
    bad = tmp_path / "bad.1"
    bad.write_text(".TH BAD 1\n.SH NAME\n.XX unknown macro\n", encoding="utf-8")
    result = subprocess.run(["groff", "-ww", "-z", "-mandoc", "-Tutf8", bad], capture_output=True, text=True, check=True)
    assert "XX" in result.stderr
