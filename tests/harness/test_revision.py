# SPDX-License-Identifier: Apache-2.0
"""The revision that `cordon version` prints: of a checkout, of an archive made by git, and of a tree without git."""
import os
import re
import shutil
import subprocess
import tarfile

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CORDON_BUILD", os.path.join(TOP, "build"))
TIME = "1700000000"

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="git is missing")


def git(tree, *args):
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null",
               GIT_AUTHOR_DATE=f"{TIME} +0000", GIT_COMMITTER_DATE=f"{TIME} +0000")
    for name in ("NAME", "EMAIL"):
        env[f"GIT_AUTHOR_{name}"] = env[f"GIT_COMMITTER_{name}"] = "test@example.org"
    return subprocess.run(["git", "-C", tree, *args], env=env, capture_output=True, text=True, check=True).stdout.strip()


def revision(tree, *args, **variables):
    env = {name: value for name, value in os.environ.items() if name not in ("CORDON_REVISION", "SOURCE_DATE_EPOCH")}
    result = subprocess.run([os.path.join(tree, "scripts", "revision.sh"), *args], env={**env, **variables}, cwd="/",
                            capture_output=True, text=True, check=True)
    assert result.stderr == ""
    return result.stdout


def plain_tree(path):
    """A source tree that git knows nothing of."""
    os.makedirs(os.path.join(path, "scripts"))
    shutil.copy(os.path.join(TOP, "scripts", "revision.sh"), os.path.join(path, "scripts"))
    shutil.copy(os.path.join(TOP, ".gitattributes"), path)
    return path


def checkout(path):
    plain_tree(path)
    git(path, "init", "-q")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "first")
    return path, git(path, "rev-parse", "HEAD")


def test_of_a_checkout(tmp_path):
    tree, commit = checkout(str(tmp_path / "tree"))
    assert revision(tree) == commit[:12] + "\n" and revision(tree, "--time") == TIME + "\n"
    with open(os.path.join(tree, ".gitattributes"), "a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert revision(tree) == commit[:12] + "-dirty\n"
    assert revision(tree, CORDON_REVISION="given", SOURCE_DATE_EPOCH="5") == "given\n"
    assert revision(tree, "--time", CORDON_REVISION="given", SOURCE_DATE_EPOCH="5") == "5\n"


def test_of_an_archive(tmp_path):
    tree, commit = checkout(str(tmp_path / "tree"))
    git(tree, "archive", "-o", str(tmp_path / "tree.tar"), "HEAD")
    with tarfile.open(tmp_path / "tree.tar") as archive:
        archive.extractall(tmp_path / "out")
    out = str(tmp_path / "out")
    assert revision(out) == commit[:12] + "\n" and revision(out, "--time") == TIME + "\n"


def test_without_git(tmp_path):
    tree = plain_tree(str(tmp_path / "tree"))
    assert revision(tree) == "unknown\n" and revision(tree, "--time") == "0\n"
    # Nor is it the revision of a repository that the tree merely lies in.
    outer, _commit = checkout(str(tmp_path / "outer"))
    inner = plain_tree(os.path.join(outer, "inner"))
    assert revision(inner) == "unknown\n" and revision(inner, "--time") == "0\n"


def noted(build):
    """The revision that a build has noted for the program."""
    with open(os.path.join(build, "gen", "revision.inc"), encoding="utf-8") as file:
        return re.fullmatch(r'#define CORDON_REVISION "(\S+)"\n', file.read())[1]


def test_of_the_program(tmp_path):
    """A build notes what the script prints, and `cordon version` prints what its build has noted."""
    other = str(tmp_path / "build")
    subprocess.run(["make", "-s", "-C", TOP, f"BUILD={other}", f"{other}/gen/revision.inc"], check=True,
                   env=dict(os.environ, CORDON_REVISION="given"))
    assert noted(other) == "given"
    for word in ("version", "--version"):
        result = subprocess.run([os.path.join(BUILD, "cordon"), word], capture_output=True, text=True, check=True)
        assert re.fullmatch(rf"cordon \d+\.\d+\.\d+ \({re.escape(noted(BUILD))}\)\n", result.stdout), result.stdout
