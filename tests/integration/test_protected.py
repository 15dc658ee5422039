# SPDX-License-Identifier: Apache-2.0
"""Protected places: what a workload leaves in a shared repository runs nothing on the host."""
import os
import shutil
import subprocess

from cordon import call, limit, need_program
from sandboxes import execute
from test_policy import work, write


def git(top, *command):
    """Run git on the host, as the user does; return its output."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
                   **{f"GIT_{who}_{what}": "h@example.com" for who in ("AUTHOR", "COMMITTER")
                      for what in ("NAME", "EMAIL")}}
    return subprocess.run(["git", "-C", top, *command], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False).stdout.decode()


def repository(name):
    top = os.path.dirname(write(name + "/file", "content\n"))
    git(top, "init", "-q", "-b", "main")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "begin")
    return top


def attacks(top, ran, victim):
    """Shell lines, each of which would make the host's git do what the workload wants."""
    config = (f"[core]\\n\\trepositoryformatversion = 0\\n\\tbare = false\\n\\tworktree = ..\\n"
              f"\\tfsmonitor = {top}/evil/run\\n")
    prepare = (f"mkdir -p evil/objects evil/refs; printf '#!/bin/sh\\ntouch {ran}\\n' >evil/run; "
               f"chmod +x evil/run; printf '{config}' >evil/config")
    # Few programs, as each is slow where ring 0 is emulated. tests/unit/test_protected.c has all the ways.
    return prepare, (
        ("commondir", "echo ../evil >.git/commondir"),
        ("linked", "ln evil/run .git/commondir"),
        ("bare", "echo 'ref: refs/heads/x' >evil/HEAD"),
        ("own file", "echo 'gitdir: .' >evil/.git"),
        ("hooks", "echo x >.git/hooks/post-checkout"),
        ("alternates", f"echo {top}/evil/objects >.git/objects/info/alternates"),
        ("message", f"rm -f .git/COMMIT_EDITMSG; ln -s {victim} .git/COMMIT_EDITMSG"),
        ("log", f"rm -f .git/logs/HEAD; ln -s {victim} .git/logs/HEAD"),
        ("orders", "echo obey >CLAUDE.md"),
        ("own", "mkdir sub; mv evil sub/.git"))


@limit(600)
def test_protected_repository():
    """Every attack is refused, and git on the host, used everywhere afterwards, does only its own work."""
    need_program("git")
    ran, victim = work("ran"), write("victim", "whole\n")
    # The control: without the rules, this git falls for it.
    top = repository("control")
    prepare, _attempts = attacks(top, ran, victim)
    subprocess.run(["sh", "-c", f"{prepare}; echo 'ref: refs/heads/x' >evil/HEAD"], cwd=top, check=True)
    git(top + "/evil", "status")
    assert os.path.exists(ran), "a bare repository does nothing here: the test proves nothing"
    os.unlink(ran)
    write("control/.git/commondir", "../evil\n")
    git(top, "status")
    assert os.path.exists(ran), "commondir does nothing here: the test proves nothing"
    os.unlink(ran)
    shutil.rmtree(top)

    top = repository("project")
    prepare, attempts = attacks(top, ran, victim)
    script = prepare + "".join(f"\necho '== {name}'; {{ {attempt}; }} 2>&1" for name, attempt in attempts)
    call("start", "--policy", "workspace", "box", cwd=top).expect(0, b"", b"")
    try:
        tried = execute("box", "sh", "-c", script, options=("-w", top)).stdout.decode()
        said = dict(part.split("\n", 1) for part in tried.split("== ")[1:])
        wrong = {name: said.get(name) for name, _ in attempts if "ermission denied" not in said.get(name, "")}
        assert not wrong, wrong
        # What git needs for its work is allowed.
        execute("box", "sh", "-c", "mkdir .git/objects/zz || mkdir .git/objects/ab && echo blob >.git/objects/ab/cd && "
                "echo message >.git/COMMIT_EDITMSG && echo h >.git/refs/heads/n.lock && rm -r .git/refs/heads/n.lock "
                ".git/objects/ab && ln -s file link", options=("-w", top)).expect(0)
        # The end of the sandbox reports what has appeared: nothing of the workload's, only these files of the host.
        for name in ("refs/x", "objects/x", "HEAD"):
            write("project/appeared/" + name, "")
        ended = call("stop", "box").expect(0, b"").stderr.decode().splitlines()
        assert len(ended) == 1 and f"{top}/appeared: git takes this for a bare repository" in ended[0], ended
        assert "appeared" in call("policy", "check", "workspace", cwd=top).expect(0).stderr.decode()
        assert "./appeared: git takes" in call("doctor", cwd=top).stdout.decode()
        shutil.rmtree(top + "/appeared")
        assert "bare" not in call("policy", "check", "workspace", cwd=top).expect(0).stderr.decode()
    finally:
        call("kill", "box")
    for where in ("", "/evil", "/sub"):
        if os.path.isdir(top + where):
            git(top + where, "status")
            git(top + where, "checkout", "-q", "-b", "branch" + where.replace("/", "-"))
    write("project/file", "changed\n")
    git(top, "commit", "-q", "-a", "-m", "of the host")
    assert git(top, "log", "-1", "--format=%s") == "of the host\n"
    assert not os.path.exists(ran), "git on the host ran what the workload had prepared"
    with open(victim, encoding="ascii") as file:
        assert file.read() == "whole\n", "git on the host wrote through a link of the workload"


def refused(where, *words, policy="workspace", options=(), home=None):
    """Neither run nor start works without --allow-home; with it they go on, to a kernel that does not exist."""
    env = {"HOME": home or work("empty-home")}
    for verb in (("run", "--kernel", work("absent"), "--policy", policy, *options, "--", "true"),
                 ("start", "--kernel", work("absent"), "--policy", policy, *options, "box")):
        call(*verb, cwd=where, env=env).expect_error("--allow-home", *words)
        allowed = call(verb[0], "--allow-home", *verb[1:], cwd=where, env=env).expect_error("absent", lines=None)
        assert b"--allow-home" not in allowed.stderr, allowed


def test_protected_home_and_more():
    """A share that reaches beyond one project is refused, whichever option or policy makes it."""
    need_program("git")
    top = repository("many/of/project")
    write("many/plain/file", "")
    many, plain = work("many"), work("many/plain")
    refused(many, "above repositories", "many/of/project")
    refused(plain, "home directory", home=plain)
    refused(work(), "home directory", home=plain)
    refused(plain, "home directory", policy="agent", home=plain)
    refused(top + "/.git", "git's own directory")
    refused(top, "above repositories", policy="locked", options=("--share", f"{many}:/w"))
    refused(top, "home directory", policy="locked", options=("--share", f"{plain}:/w:ro"), home=plain)
    refused(top, "whole host", policy="locked", options=("--share", "/:/w:ro"))
    rules = write("rules", "policy 1\nshare many /w\nfile write /w/**\n")
    refused(top, "above repositories", policy=rules)
    call("run", "--policy", "workspace", "--", "true", cwd="/").expect_error("--allow-home", "project's directory")
    # Not refused: one project, a part of one, a directory without a repository, several read-only.
    for where, options in ((top, ()), (plain, ()), (plain, ("--share", f"{many}:/w:ro"))):
        call("run", "--kernel", work("absent"), "--policy", "workspace", *options, "--", "true", cwd=where,
             env={"HOME": work("empty-home")}).expect_error("absent")


def test_protected_places_left_open():
    """A warning for each kind of place that exists and is open; none for a protected or missing one."""
    need_program("git")
    top = repository("open")
    call("run", "--kernel", work("absent"), "--share", f"{work('nothing')}:/w", "--", "true").expect_error("No such file")
    os.mkdir(work("nothing"))
    call("run", "--kernel", work("absent"), "--share", f"{work('nothing')}:/w", "--", "true").expect_error("absent")
    for name in (".github/workflows/x.yml", ".env", "CLAUDE.md", "Makefile"):
        write("open/" + name, "")
    said = call("run", "--kernel", work("absent"), "--share", f"{top}:/w", "--", "true") \
        .expect_error("absent", lines=None).stderr.decode().splitlines()
    assert len(said) == 5 and all("warning: share /w: the guest can" in line for line in said[:4]), said
    for line, word in zip(said, (".git/config, .git/hooks", "read .env:", "CLAUDE.md", ".github")):
        assert word in line, (word, line)
    call("run", "--kernel", work("absent"), "--policy", "workspace", "--", "true", cwd=top).expect_error("absent")
    # A protected place that is a link to an unprotected one.
    os.symlink("Makefile", top + "/GEMINI.md")
    said = call("run", "--kernel", work("absent"), "--policy", "workspace", "--", "true", cwd=top) \
        .expect_error("absent", lines=None).stderr.decode().splitlines()
    assert len(said) == 2 and "GEMINI.md leads to Makefile, which the guest can change" in said[0], said
