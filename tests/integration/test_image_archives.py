# SPDX-License-Identifier: Apache-2.0
"""Images from pipes, compressed archives and root file systems without a description, and the list of images."""
import gzip
import io
import json
import os
import random
import signal
import subprocess
import tarfile

from cordon import Process, call, limit, need_program, run, wait_until, work
from images import FILE, add, busybox_layers, docker_archive, images, layer, oci_layout, removed


def own_cache():
    return {"XDG_CACHE_HOME": work("cache")}


def listed(cache):
    return {image["id"]: image for image in json.loads(call("image", "ls", "--json", env=cache).expect(0).stdout)}


def left():
    """Names in the cache of images that are no images."""
    return [name for name in os.listdir(work("cache/cordon/images")) if name.startswith(".") and name != ".lock"]


def content(path):
    with open(path, "rb") as file:
        return file.read()


def flat_archive():
    """The root file system of a container, as docker export writes it."""
    out = io.BytesIO(busybox_layers()[0])
    with tarfile.open(fileobj=out, mode="a") as tar:
        add(tar, ".dockerenv", b"")
        add(tar, "etc/unique", str(random.getrandbits(64)).encode())
    return out.getvalue()


@limit(900)
def test_archives_come_compressed_and_through_pipes():
    """What docker save writes is the same image as a file, compressed by gzip or zstd, and through a pipe."""
    need_program("zstd")
    cache, path = own_cache(), work("box.tar")
    image = docker_archive(path, busybox_layers())
    data, output = content(path), f"sha256:{image}\n".encode()
    zstd = subprocess.run(["zstd", "-q", "-c", path], stdout=subprocess.PIPE, check=True).stdout
    for number, packed in enumerate((data, gzip.compress(data), zstd)):
        call("image", "build", "-", "--tag", f"box:{number}", stdin=packed, env=cache).expect(0, output, b"")
        with open(work("packed"), "wb") as file:
            file.write(packed)
        call("image", "build", work("packed"), "-t", f"file:{number}", env=cache).expect(0, output, b"")
        with open(work("packed"), "rb") as file:
            call("image", "build", "-", "-t", f"stdin:{number}", stdin=file, env=cache).expect(0, output, b"")
        call("image", "convert", "-", work("file.erofs"), stdin=packed, env=cache).expect(0, output, b"")
    assert len(listed(cache)[image]["names"]) == 9 and not left()
    call("image", "build", "-", env=cache).expect_error("standard input: is empty")
    call("image", "build", "-", stdin=gzip.compress(data)[:-9], env=cache).expect_error("truncated")
    call("image", "build", "-", stdin=gzip.compress(bytes(1 << 26)), env=cache).expect_error("128 times")
    assert not left()
    call("run", "--rootfs", "oci:-", "--", "true", env=cache).expect_error("image build - --tag")


@limit(900)
def test_an_image_is_named_as_its_archive_says():
    """RepoTags are names, but take none away from another image; a name without a tag means :latest."""
    cache, path = own_cache(), work("box.tar")
    first = docker_archive(path, busybox_layers())
    call("image", "build", path, env=cache).expect(0, f"sha256:{first}\n".encode(), b"")
    assert listed(cache)[first]["names"] == ["box:latest"]
    second = docker_archive(path, busybox_layers())
    result = call("image", "build", path, env=cache).expect(0)
    assert b"box:latest stays the name of another image: --tag box:latest moves it" in result.stderr, result
    assert listed(cache)[second]["names"] == []
    call("image", "build", path, "--tag", "box:latest", env=cache).expect(0, None, b"")
    assert listed(cache)[second]["names"] == ["box:latest"] and listed(cache)[first]["names"] == []
    lines = call("image", "ls", env=cache).expect(0, None, b"").stdout.decode().splitlines()
    assert lines[0].split() == ["NAME", "ID", "CREATED", "SIZE"], lines
    assert lines[1].split()[:2] == ["box:latest", second[:12]] or lines[2].split()[:2] == ["box:latest", second[:12]], lines
    assert " ago " in lines[1] and lines[1].endswith("M"), lines
    ids = call("images", "-q", env=cache).expect(0, None, b"").stdout.decode().split()
    assert sorted(ids) == sorted((first[:12], second[:12])), ids
    call("image", "rm", "box", first[:12], env=cache).expect(0, b"", b"")
    assert listed(cache) == {}


@limit(900)
def test_an_image_is_named_as_its_index_says():
    """Annotations of an OCI layout are names, as BuildKit, containerd, Skopeo and Podman write them."""
    cache, names, ref = own_cache(), "io.containerd.image.name", "org.opencontainers.image.ref.name"
    found = {}
    for number, (annotations, wanted) in enumerate((
            ([{names: "docker.io/library/box:1", ref: "1"}, {names: "ghcr.io/me/box:1", ref: "1"}], ["box:1", "ghcr.io/me/box:1"]),
            ([{ref: "localhost/tool:2"}, {ref: "2"}], ["localhost/tool:2"]), ([{ref: "latest"}], []))):
        image = oci_layout(work(f"layout{number}"), busybox_layers()[:1], annotations)
        archive = subprocess.run(["tar", "-cz", "-C", work(f"layout{number}"), "."], stdout=subprocess.PIPE, check=True).stdout
        # Zeros behind the end, as of a disk's blocks.
        call("image", "build", "-", stdin=archive + bytes(5000), env=cache).expect(0, f"sha256:{image}\n".encode(), b"")
        found[image] = wanted
    assert {image: sorted(entry["names"]) for image, entry in listed(cache).items()} == found
    oci_layout(work("other"), busybox_layers(), [{names: "docker.io/library/box:1"}, {names: "docker.io/library/host"}])
    result = call("image", "build", work("other"), env=cache).expect(0)
    assert b"box:1 stays the name of another image: --tag box:1 moves it" in result.stderr, result
    assert b"the archive's name host is no name for an image here" in result.stderr, result
    call("image", "build", work("layout0"), "--ref", "box:2", env=cache).expect_error("it has box:1, ghcr.io/me/box:1")
    call("image", "build", work("layout0"), "--ref", "ghcr.io/me/box:1", env=cache).expect(0)
    assert not left()


@limit(900)
def test_a_root_file_system_runs():
    """What docker export writes is an image without a description, and the message says what it lacks."""
    archive = flat_archive()
    result = call("image", "build", "-", "--tag", "flat-test", stdin=gzip.compress(archive)).expect(0)
    assert b"no variables, user, working directory or command" in result.stderr, result
    image = result.stdout.decode().strip().removeprefix("sha256:")
    with removed(image):
        assert images()[image]["names"] == ["flat-test"]
        run("sh", "-c", "id -u; pwd; ls /.dockerenv", options=("--rootfs", "flat-test", "--env", "PATH=/bin")) \
            .expect(0, b"0\n/\n/.dockerenv\n", b"")
        with open(work("root.tgz"), "wb") as file:
            file.write(gzip.compress(archive))
        run("/bin/cat", "/etc/passwd", options=("--rootfs", work("root.tgz"))).expect(0, None, b"")
        run(options=("--rootfs", "flat-test")).expect_error("command")


@limit(900)
def test_archives_of_anything_else_are_refused():
    cache = own_cache()
    for entries, words in (((("x", FILE, b"", 0o644),), ("docker save", "docker export")),
                           ((("etc/../../x", FILE, b"", 0o644),), ("..",)),
                           ((("bin/x", FILE, b"\x7fELF" + bytes(12) + b"\2\0\xb7\0" + bytes(44), 0o755),), ("linux/arm64",))):
        call("image", "build", "-", stdin=layer(*entries), env=cache).expect_error(*words)
    need_program("xz")
    packed = subprocess.run(["xz"], input=layer(("etc/x", FILE, b"", 0o644)), stdout=subprocess.PIPE, check=True).stdout
    call("image", "build", "-", stdin=packed, env=cache).expect_error("xz: decompress it first")
    assert not left()


@limit(900)
def test_nothing_stays_after_an_interrupt():
    """SIGINT and SIGTERM end a build, while it reads and while it unpacks, and leave nothing in the cache."""
    cache, data = own_cache(), flat_archive()
    for number in (signal.SIGINT, signal.SIGTERM):
        process = Process("image", "build", "-", env=cache)
        process.write(data[:len(data) // 2])
        wait_until(lambda: os.path.isdir(work("cache/cordon/images")), "the cache's directory")
        process.signal(number)
        assert process.wait().status == -number
        assert not left()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in range(64):
            info = tarfile.TarInfo(f"etc/{name}")
            info.size = 4 << 20
            tar.addfile(info, io.BytesIO(random.randbytes(64) * (info.size // 64)))
    with open(work("big.tar"), "wb") as file:
        file.write(out.getvalue())
    process = Process("image", "build", work("big.tar"), env=cache)
    wait_until(lambda: left() or process.poll() is not None, "the image's directory")
    process.signal(signal.SIGINT)
    assert process.wait().status in (-signal.SIGINT, 0)          # 0: it was faster
    assert not left()
    call("image", "build", work("big.tar"), env=cache).expect(0)
