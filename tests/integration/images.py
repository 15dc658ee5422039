# SPDX-License-Identifier: Apache-2.0
"""Root file systems and image files that the tests make."""
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import tarfile
from contextlib import contextmanager

from cordon import call, need_program, work


BUSYBOX = "/bin/busybox"
FILE, LINK, SYMLINK, DIRECTORY, FIFO = (tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE,
                                        tarfile.FIFOTYPE)


# --- images made here ---------------------------------------------------------------------------------

def layer(*entries):
    """An image layer with entries (name, type, contents or target, mode[, owner])."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, data, mode, *owner in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, mode, 1000000000
            info.uid = info.gid = owner[0] if owner else 0
            if kind == FILE:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            else:
                info.linkname = data
                tar.addfile(info)
    return out.getvalue()


def busybox_layers():
    with open(BUSYBOX, "rb") as file:
        program = file.read()
    applets = ("sh", "cat", "ls", "echo", "id", "touch", "pwd", "sleep", "rm", "sync")
    return [layer(("bin", DIRECTORY, "", 0o755), ("bin/busybox", FILE, program, 0o755),
                  *((f"bin/{name}", SYMLINK, "busybox", 0o777) for name in applets),
                  ("etc", DIRECTORY, "", 0o755),
                  ("etc/passwd", FILE, b"root:x:0:0::/root:/bin/sh\nworker:x:77:78::/w:/bin/sh\n", 0o644),
                  ("old/gone", FILE, b"below", 0o644), ("old/kept", FILE, b"below\n", 0o644),
                  ("all/a", FILE, b"below", 0o644)),
            layer(("old/.wh.gone", FILE, b"", 0o644), ("all/new", FILE, b"above\n", 0o644),
                  ("all/.wh..wh..opq", FILE, b"", 0o644), ("w", DIRECTORY, "", 0o755, 77),
                  ("pipe", FIFO, "", 0o644), ("hard", LINK, "old/kept", 0o644))]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def configuration(layers, machine="amd64", **settings):
    """An image configuration that no other image has."""
    return json.dumps({"os": "linux", "architecture": machine, "config": settings,
                       "created": str(random.getrandbits(64)),
                       "rootfs": {"type": "layers",
                                  "diff_ids": ["sha256:" + digest(data) for data in layers]}}).encode()


def add(tar, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def docker_archive(path, layers, **settings):
    config = configuration(layers, **settings)
    with tarfile.open(path, "w") as tar:
        for number, data in enumerate(layers):
            add(tar, f"{number}/layer.tar", data)
        add(tar, digest(config) + ".json", config)
        add(tar, "manifest.json", json.dumps([{
            "Config": digest(config) + ".json", "RepoTags": ["box:latest"],
            "Layers": [f"{number}/layer.tar" for number in range(len(layers))]}]).encode())
    return digest(config)


def packed(data, number):
    """Compress a layer in a way that its number selects: gzip, zstd, none, and so on."""
    if number % 3 == 1:
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return gzip.compress(data) if number % 3 == 0 else data


def oci_layout(path, layers, annotations=(), **settings):
    """An OCI image layout; annotations: of the entries of its index."""
    os.makedirs(os.path.join(path, "blobs/sha256"))

    def store(data):
        with open(os.path.join(path, "blobs/sha256", digest(data)), "wb") as file:
            file.write(data)
        return {"digest": "sha256:" + digest(data), "size": len(data)}

    config = configuration(layers, **settings)
    manifest = json.dumps({"config": store(config),
                           "layers": [store(packed(data, number)) for number, data in enumerate(layers)]}).encode()
    with open(os.path.join(path, "index.json"), "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [store(manifest) | {"annotations": each} for each in annotations or ({},)]},
                  file)
    with open(os.path.join(path, "oci-layout"), "w") as file:
        file.write('{"imageLayoutVersion": "1.0.0"}')
    return digest(config)


def images():
    return {image["id"]: image for image in json.loads(call("image", "ls", "--json").expect(0).stdout)}


@contextmanager
def removed(image):
    """Remove the image afterwards if the test leaves it in the cache."""
    try:
        yield
    finally:
        if image in images():
            call("image", "rm", image).expect(0, b"", b"")


def root_directory():
    """Make a root file system with busybox, as a directory."""
    path = work("root")
    for name in ("bin", "etc"):
        os.makedirs(os.path.join(path, name))
    with open(BUSYBOX, "rb") as source, open(os.path.join(path, "bin/busybox"), "wb") as target:
        target.write(source.read())
    os.chmod(os.path.join(path, "bin/busybox"), 0o755)
    for name in ("sh", "cat", "ls", "echo", "id", "rm", "sleep", "mkdir", "ln"):
        os.symlink("busybox", os.path.join(path, "bin", name))
    with open(os.path.join(path, "etc/file"), "w") as file:
        file.write("as it was\n")
    return path


def place(top, path):
    """Copy a file or tree of the host to the same path below top, and the symbolic links on the way to it."""
    here, rest = "/", path.strip("/").split("/")
    while rest:
        here = os.path.join(here, rest.pop(0))
        target = top + here
        if os.path.islink(here):
            if not os.path.lexists(target):
                os.symlink(os.readlink(here), target)
            place(top, os.path.normpath(os.path.join(os.path.dirname(here), os.readlink(here), *rest)))
            return
        if rest:
            os.makedirs(target, exist_ok=True)
    if os.path.isdir(path):
        shutil.copytree(path, top + path, symlinks=True, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("test", "tests"))
    elif not os.path.exists(top + path):
        shutil.copy(path, top + path)


def host_image(programs, trees=(), copies=()):
    """An erofs image with programs of the host, their loaders and libraries, and directory trees, at the same paths,
    and with copies (path in the image: file)."""
    need_program("mkfs.erofs", "ldd")
    top = work("host-root")
    for name in ("etc", "tmp", "root"):
        os.makedirs(os.path.join(top, name))
    for path in programs:
        place(top, path)
        listed = subprocess.run(["ldd", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        for word in listed.stdout.split():
            if word.startswith("/"):
                place(top, word)
    for path in trees:
        place(top, path)
    for path, source in dict(copies).items():
        shutil.copy(source, top + path)
    subprocess.run(["mkfs.erofs", "--quiet", "--all-root", work("host.erofs"), top], check=True)
    shutil.rmtree(top)
    return work("host.erofs")


def tree(path):
    """All names below a directory, each with mode, time, and size or link target."""
    found = {}
    for top, directories, files in os.walk(path):
        for name in directories + files:
            full = os.path.join(top, name)
            status = os.lstat(full)
            held = os.readlink(full) if os.path.islink(full) else status.st_size
            found[os.path.relpath(full, path)] = (status.st_mode, status.st_mtime_ns, held)
    return found
