# SPDX-License-Identifier: Apache-2.0
"""An agent's ordinary work under exec rules: the example of docs/policy.md lets it run, and denies what it says.

The project is in the sandbox's own file system, at the path that $PWD has on the host: each operation of a share takes
long where ring 0 is emulated. Programs come from an image, for the same reason."""
import json
import os
import re
import shlex

import cordon
from cordon import call, limit, work, write
from images import host_image
from sandboxes import execute, sandbox

PYTHON, DENIED = "/usr/bin/python3", "/usr/bin/curl"
MODULES = os.path.join("/usr/lib", os.path.basename(os.path.realpath(PYTHON)))


def example(without="\0"):
    """The example for the directory of the project, without its preset and the lines that contain a text."""
    with open(os.path.join(cordon.TOP, "docs/policy.md"), encoding="utf-8") as manual:
        text = re.search(r"```\n(policy 1\nexec .*?)```", manual.read(), re.DOTALL).group(1)
    call("policy", "check", write("whole", text), cwd=work("")).expect(0)
    assert "include agent\n" in text and " $PWD/**\n" in text, text
    lines = [line for line in text.splitlines(True) if without not in line and "include" not in line]
    return write("policy", "".join(lines).replace("$PWD", work("project")))


def image(*programs, trees=(), copies=()):
    """A root file system with programs of the host, and with one that the example denies."""
    for path in (*programs, *trees):
        if not os.path.exists(path):
            raise cordon.Skip(f"needs {path}")
    shell = ("/usr/bin/true", "/bin/sh", "/usr/bin/mkdir", "/usr/bin/chmod")
    return host_image((*shell, *programs), trees, {DENIED: "/usr/bin/true", **dict(copies)})


def box(root, policy):
    return sandbox("box", "--rootfs", root, "-m", "512M", "--policy", policy)


def do(script, files=()):
    """Run a script in the project, with files (name: text), all executable."""
    top, options = work("project"), []
    names = [f"GIT_{who}_{what}=a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    for name in (*names, "HOME=/tmp", "npm_config_update_notifier=false"):
        options += ["-e", name]
    made = "".join(f"printf %s {shlex.quote(text)} >{name}\n" for name, text in dict(files).items())
    made += f"chmod 755 {' '.join(files)}\n" if files else ""
    return execute("box", "sh", "-c", f"[ -d {top} ] || mkdir -p {top}; cd {top}\n{made}{script}", options=options)


def closed(group):
    """`why` has no denial to explain, but says which calls are closed."""
    call("why", "box").expect_error("nothing was denied", "closes system calls", " " + group)


MAKE = {"Makefile": "out: gen.sh\n\t./gen.sh >out\n", "gen.sh": "#!/bin/sh\necho made\n"}


@limit(600)
def test_ordinary_git_and_make():
    """git, make and a script of the project run; what the rules deny does not, and it is said why."""
    with box(image("/usr/bin/git", "/usr/bin/make"), example()):
        script = ("git init -q && git add -A && git commit -qm two && git rev-list --count HEAD && make -s; "
                  "read a <out; echo $a; curl")
        denied = do(script, MAKE).expect(126, b"1\nmade\n")
        assert b"curl: Permission denied" in denied.stderr, denied
        why = call("why", "box").expect(0).stdout.decode()
        assert f"rule: {work('policy')}:2: exec deny {DENIED}" in why and f"exec allow {DENIED}" in why, why
        call("policy", "set", "box", example("exec    deny")).expect(0)
        do("curl").expect(0, b"", b"")


@limit(600)
def test_ordinary_python_environments():
    """A virtual environment is made, and its Python loads a compiled module of the project; not without its rule."""
    cordon.need_whole()
    top, built = work("project"), os.path.join(MODULES, "lib-dynload")
    with box(image(PYTHON, "/usr/bin/cp", trees=(MODULES,)), example()):
        module = next(name for name in sorted(os.listdir(built)) if name.startswith("_json."))
        use = ("v/bin/python -c '\nimport sys, subprocess\nsys.path.insert(0, \".\")\nimport _json\n"
               "print(sys.prefix, _json.__file__)\n"
               "try: subprocess.run([\"curl\"])\nexcept PermissionError: print(\"denied\")'")
        done = do(f"python3 -m venv --without-pip v && cp {built}/{module} . && {use}").expect(0)
        assert done.stdout.decode() == f"{top}/v {top}/{module}\ndenied\n", done
        with open(example(), encoding="utf-8") as file:
            fewer = write("fewer", file.read().replace(f" {top}/**\n", "\n"))
        call("policy", "set", "box", fewer).expect(0)
        missing = do(use).expect(1, b"")
        assert b"failed to map segment" in missing.stderr, missing
        assert f"exec allow {top}/{module}" in call("why", "box").expect(0).stdout.decode()


@limit(600)
def test_ordinary_npm_test():
    """npm runs a project's tests; node is denied what the rules deny, and no more."""
    cordon.need_whole()
    package = {"name": "project", "version": "1.0.0", "scripts": {"test": "node t.js"}}
    files = {"package.json": json.dumps(package),
             "t.js": "for (const name of ['curl', 'true'])\n"
                     "  console.log(name, require('child_process').spawnSync(name).error?.code);\n"}
    with box(image("/usr/bin/node", "/usr/bin/npm", "/usr/bin/env", trees=("/usr/lib/node_modules/npm",)), example()):
        assert b"curl EACCES\ntrue undefined\n" in do("npm test", files).expect(0).stdout


@limit(600)
def test_ordinary_gdb():
    """gdb runs a program if the policy has `process allow ptrace`; without it, it says what it lacks."""
    cordon.need_whole()
    # Without gdb's own Python modules, and on a static program: the others take minutes where ring 0 is emulated.
    root = image("/usr/bin/gdb", trees=(MODULES,), copies={"/usr/bin/small": cordon.program("touch")})
    with box(root, example("ptrace")):
        script = "gdb -nx -q -batch -ex 'set startup-with-shell off' -ex run /usr/bin/small"
        refused = do(script)
        assert b"exited" not in refused.stdout and b"not permitted" in refused.stderr, refused
        closed("ptrace")
        call("policy", "set", "box", example()).expect(0)
        assert re.search(rb"\[Inferior 1 \(process \d+\) exited", do(script).expect(0).stdout)


@limit(600)
def test_ordinary_bubblewrap():
    """bubblewrap runs programs if the policy has `process allow userns`, and the exec rules hold in it."""
    script = ("bwrap --ro-bind / / --dev /dev --proc /proc sh -c 'true && echo in it; curl; echo $?'; "
              "bwrap --ro-bind / / --tmpfs /tmp sh -c 'cp /usr/bin/true /tmp; /tmp/true; echo $?'")
    with box(image("/usr/bin/bwrap", "/usr/bin/cp"), example("userns")):
        refused = do(script)
        assert refused.stdout == b"" and b"not permitted" in refused.stderr, refused
        closed("userns")
        call("policy", "set", "box", example()).expect(0)
        do(script).expect(0, b"in it\n126\n126\n")


@limit(600)
def test_ordinary_learned():
    """`policy learn` makes of a run's log the rules that let the same run pass, and no other program."""
    cordon.need_whole()
    root, script = image("/usr/bin/make"), "make -s; read a <out; echo $a"
    # `audit processes` logs the interpreters of scripts, not the scripts.
    plain = {"Makefile": "out:\n\techo made >out; true\n"}
    for first, files in (("exec allow /**\n", MAKE), ("audit processes\n", plain)):
        with box(root, write("wide", "policy 1\n" + first)):
            do(script, files).expect(0, b"made\n")
            learned = call("policy", "learn", "box").expect(0).stdout.decode()
        assert "exec allow /usr/bin/make\n" in learned and "/usr/bin/true" not in learned, learned
        with box(root, write("learned", learned)):
            do(script + "; /usr/bin/true", files).expect(126, b"made\n")
