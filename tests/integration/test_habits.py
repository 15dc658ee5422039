# SPDX-License-Identifier: Apache-2.0
"""What users of Docker and Podman type: it works, or one line names the way that exists."""
import json
import os

import images
from cordon import Process, Terminal, call, limit, scratch, work, write
from sandboxes import ps

# What is typed, and what the line in reply has.
REPLIES = (
    ("run --rm -it alpine sh", "'alpine' looks like an image", "--rootfs alpine -- sh", "image build ARCHIVE --tag alpine"),
    ("run alpine ls -l /", "--rootfs alpine -- ls ..."),
    ("pull alpine", "no registry", "image build ARCHIVE"),
    ("image pull alpine", "'image pull'", "no registry"),
    ("build -t x .", "image build ARCHIVE"),
    ("buildx build .", "image build ARCHIVE"),
    ("image prune", "image rm NAME"),
    ("image inspect x", "image ls --json"),
    ("history x", "image ls"),
    ("volume ls", "--share HOST:GUEST"),
    ("network ls", "'net' rules"),
    ("system prune -af", "cordon prune", "image rm", "template prune"),
    ("container ls", "cordon ps"),
    ("login", "no registry"),
    ("logout", "no registry"),
    ("search alpine", "no registry"),
    ("compose up", "cordon start"),
    ("machine init", "cordon run"),
    ("pod ps", "cordon start"),
    ("context ls", "no daemon"),
    ("restart web", "cordon stop NAME"),
    ("update --memory 1g web", "cordon limit NAME memory=SIZE"),
    ("kill -s TERM web", "kill --job JOB --signal SIGNAL NAME", "cordon stop NAME"),
    ("kill -j 1 a b", "--job is for one command"),
    ("run --gpus all -- true", "--gpus", "no device"),
    ("run --gpus=all -- true", "option --gpus:", "no device"),
    ("run --privileged -- true", "kernel of its own"),
    ("run --cap-add NET_ADMIN -- true", "'process' rules"),
    ("run --restart always -- true", "cordon start"),
    ("run --init -- true", "init process"),
    ("run -P -- true", "--publish HOSTPORT:PORT"),
    ("run -itP -- true", "option -P", "--publish HOSTPORT:PORT"),
    ("run --tmpfs /x -- true", "--disk SIZE"),
    ("run --pids-limit 9 -- true", "'limit' lines"),
    ("start --label a=b web", "no labels"),
    ("exec --privileged web sh", "kernel of its own"),
    ("run --network host -- true", "none, user", "tap=INTERFACE"),
    ("run --memory 4m -- true", "at least 64M"),
    ("run -v data:/data -- true", "data", "not a volume with a name"),
    ("run -v /etc/hostname:/x -- true", "/etc/hostname", "not a directory", "cordon cp"),
    ("run -v /nope-a:/x -- true", "/nope-a", "No such file"),
    ("exec -it web sh", "standard input is not a terminal", "-t"),
    ("logs -f web", "no sandbox is called web", "cordon ps"),
    ("rm web", "no sandbox is called web", "cordon ps -a"),
)


def test_each_reply_names_the_way():
    for typed, *words in REPLIES:
        result = call(*typed.split()).expect_error(*words)
        assert b"did you mean" not in result.stderr, result
    # The twins: an option that is only misspelt is suggested, and what stands behind -- is the command's.
    call("run", "--memoryx", "1G", "--", "true").expect_error("did you mean --memory?")
    call("policy", "check", "--label", "x").expect_error("unknown option --label")
    call("image", "lss").expect_error("did you mean 'ls'?")
    call("rm", "-f", "never-there").expect(0, b"", b"")
    call("rm", "-fv", "never-there").expect(0, b"", b"")


@limit(400)
def test_twenty_commands():
    archive = work("habits.tar")
    image = images.docker_archive(archive, images.busybox_layers(), Cmd=["sh", "-c", "echo of the image"])
    with images.removed(image):
        call("image", "build", archive, "--tag", "habits").expect(0, f"sha256:{image}\n".encode())
        assert b"habits" in call("images").expect(0).stdout
        call("run", "habits:latest", "sh").expect_error("'habits:latest' is an image", "--rootfs habits:latest -- sh")
        call("run", "--rm", "-i", "--rootfs", "habits", "--", "sh", "-c", "echo hi").expect(0, b"hi\n", b"")
        terminal = Terminal("run", "--rm", "-it", "--rootfs", "habits", "--", "sh", "-c", "[ -t 0 ] && echo a terminal")
        terminal.expect(b"a terminal")
        assert terminal.wait() == 0
        terminal.close()
        write("w/file", "shared\n")
        call("run", "--rm", "-v", work("w") + ":/w", "-w", "/w", "--", "cat", "file").expect(0, b"shared\n", b"")
        call("run", "-v", work("w") + ":/w:ro", "--", "sh", "-c", "echo x >/w/file || echo no").expect(0, b"no\n")
        variables = scratch("env", b"A=1\n# a comment\nB=two words\n")
        call("run", "--env-file", variables, "--", "sh", "-c", "echo $A $B").expect(0, b"1 two words\n", b"")
        call("rmi", "habits").expect(0)
        assert b"habits" not in call("images").expect(0).stdout
    call("start", "--name", "web").expect_error("--name", "is an argument")
    call("start", "web").expect(0, b"", b"")
    try:
        follows = Process("logs", "-f", "web")
        assert b"web" in call("ps").expect(0).stdout and b"web" in call("ps", "-a").expect(0).stdout
        call("exec", "-i", "web", "sh", stdin=b"echo in $HOSTNAME\n").expect(0, b"in web\n", b"")
        call("cp", "web:/etc/hostname", ".").expect(0)
        with open(work("hostname"), "rb") as file:
            assert file.read() == b"web\n"
        call("cp", "./hostname", "web:/tmp/copy").expect(0)
        call("exec", "web", "cat", "/tmp/copy").expect(0, b"web\n", b"")
        assert json.loads(call("inspect", "web").expect(0).stdout)["name"] == "web"
        assert b"web" in call("stats", "--no-stream").expect(0).stdout
        assert b"web" in call("top", "web").expect(0).stdout
        call("port", "web").expect(0)
        call("pause", "web").expect(0)
        call("unpause", "web").expect(0)
        call("stop", "-t", "1", "web").expect(0, b"", b"")
        follows.wait().expect(0)
        call("wait", "web").expect(0)
        call("rm", "web").expect(0, b"", b"")
        assert b"web" not in call("ps", "-a").expect(0).stdout
        call("start", "web").expect(0, b"", b"")
        call("rm", "web").expect_error("web runs", "rm -f")
        call("rm", "-f", "web", "never-there").expect(0, b"", b"")
        assert ps() == {} and b"web" not in call("ps", "-a").expect(0).stdout
        assert not os.path.exists(os.path.join(os.environ["XDG_RUNTIME_DIR"], "cordon", "web"))
    finally:
        call("kill", "web")
