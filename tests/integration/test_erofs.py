# SPDX-License-Identifier: Apache-2.0
"""OCI images as erofs files (`cordon image convert`), judged by erofs-utils, by Linux and by GNU tar. No sandbox runs."""
import io
import json
import os
import random
import subprocess
import sys
import tarfile

from cordon import HERE, Skip, call, need_program, need_root, scratch, work
from images import DIRECTORY, FIFO, FILE, LINK, SYMLINK, busybox_layers, docker_archive, layer, oci_layout
from listing import listing

CHAR, BLOCK = tarfile.CHRTYPE, tarfile.BLKTYPE
CAPABILITY = "0000000200040000" + "00" * 12         # cap_net_bind_service, as setcap stores it: not effective
SECONDS = 1000000000


def entry(tar, name, kind=FILE, data=b"", mode=0o644, uid=0, gid=0, mtime=SECONDS, device=(0, 0), attributes=()):
    """Add an entry to a tar file in pax format. mtime: may be a text, which then is a pax record."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid = kind, mode, uid, gid
    info.devmajor, info.devminor = device
    info.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in attributes}
    if isinstance(mtime, str):
        info.pax_headers["mtime"] = mtime
    else:
        info.mtime = mtime
    if kind == FILE:
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    else:
        info.linkname = data if isinstance(data, str) else ""
        tar.addfile(info)


def rich_layer():
    """A layer with something of everything."""
    noise = random.Random(1)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        entry(tar, "./", DIRECTORY, mode=0o755)
        entry(tar, "sizes", DIRECTORY, mode=0o750, uid=10, gid=20)
        for size in (0, 1, 100, 2047, 2048, 2049, 4095, 4096, 4097, 6144, 65535, 65536, 65537, 300000):
            entry(tar, f"sizes/{size}", data=noise.randbytes(size))
        entry(tar, "holes", data=b"a" * 70000 + bytes(400000) + b"b" * 5 + bytes(200000))
        entry(tar, "zeros", data=bytes(1 << 20))
        for uid, gid in ((65535, 65535), (65536, 0), (0, 65536), (4000000000, 3999999999)):
            entry(tar, f"owner.{uid}.{gid}", uid=uid, gid=gid)
        for number, time in enumerate(("-1.5", "0", "1700000000.000000001", "1700000000.999999999", "5000000000")):
            entry(tar, f"time.{number}", mtime=time)
        for mode in (0o4755, 0o2755, 0o6711, 0o1644, 0o000, 0o777):
            entry(tar, f"mode.{mode:o}", mode=mode)
        entry(tar, "tmp", DIRECTORY, mode=0o1777)
        entry(tar, "group", DIRECTORY, mode=0o2775, gid=50)
        for length in (1, 100, 2048, 2100, 4000):
            entry(tar, f"link.{length}", SYMLINK, ("x/" * 2048)[:length], mode=0o777, uid=7)
        entry(tar, "hard.1", LINK, "sizes/4097")
        entry(tar, "hard.2", LINK, "hard.1")
        entry(tar, "hard.link", LINK, "link.100")
        entry(tar, "null", CHAR, mode=0o666, device=(1, 3))
        entry(tar, "disk", BLOCK, mode=0o660, gid=6, device=(259, 70000))
        entry(tar, "pipe", FIFO, mode=0o600)
        entry(tar, "many", DIRECTORY, mode=0o755)
        for number in range(3000):
            entry(tar, f"many/{number * 7919 % 3000}.{'n' * (number % 40)}")
        entry(tar, "n" * 255, data=b"a long name")
        for name in ("-x", "+", ".a", "..a", ".-a", "...", "!", "~", "\u00e9", "a b", "a\tb"):
            entry(tar, name, data=name.encode())
        entry(tar, "d/" * 60 + "f", data=b"deep")
    return out.getvalue()


def attribute_layer():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        entry(tar, "capable", data=b"program", mode=0o755,
              attributes=(("security.capability", bytes.fromhex(CAPABILITY).decode("latin-1")),))
        entry(tar, "user", data=b"x" * 5000, attributes=(("user.note", "a note"), ("user.empty", ""),
                                                        ("trusted.x", "t" * 5000), ("trusted.overlay.opaque", "y")))
        entry(tar, "directory", DIRECTORY, mode=0o755, attributes=(("user.d", "on a directory"),))
    return out.getvalue()


def convert(layers, name="image"):
    """Make an image of layers and convert it; the path of the erofs file."""
    oci_layout(work(name), layers)
    result = call("image", "convert", work(name), work(name + ".erofs")).expect(0, stderr=b"")
    assert result.stdout.startswith(b"sha256:"), result
    return work(name + ".erofs")


def extracted(image):
    """The listing of an image, by fsck.erofs 1.5. It makes no hard links, and no attributes."""
    need_program("fsck.erofs")
    target = image + ".tree"
    subprocess.run(["fsck.erofs", f"--extract={target}", "--preserve", image], check=True, stdout=subprocess.DEVNULL)
    return listing(target)


def mounted(image):
    """The listing of an image, by the host's kernel, in a mount namespace of its own."""
    need_root()
    need_program("mount", "unshare")
    with open("/proc/filesystems") as file:
        if "\terofs\n" not in file.read():
            raise Skip("the host's kernel has no erofs")
    os.makedirs(work("mount"), exist_ok=True)
    mount = subprocess.run(["unshare", "--mount", "sh", "-c",
                            'mount -t erofs -o loop,ro "$0" "$1" || exit 9; exec "$2" "$3" "$1"',
                            image, work("mount"), sys.executable, os.path.join(HERE, "listing.py")],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if mount.returncode == 9:
        raise Skip(f"no erofs can be mounted: {mount.stderr.decode().strip()}")
    assert mount.returncode == 0, mount
    return json.loads(mount.stdout)


def by_tar(data):
    """The listing of a layer, by GNU tar."""
    os.mkdir(work("tar"))
    subprocess.run(["tar", "-x", "-p", "--same-owner", "--numeric-owner", "--delay-directory-restore", "-C", work("tar")],
                   input=data, check=True)
    return listing(work("tar"))


def compare(found, wanted, without=(), but=()):
    """Two listings are the same, without some keys of each file; but: files that only one of them has to have."""
    assert set(found) - set(but) == set(wanted) - set(but)
    for path, one in wanted.items():
        if path in but:
            continue
        for key in set(one) - set(without):
            assert found[path][key] == one[key], f"{path or '/'}: {key}: {found[path][key]}, wanted {one[key]}"


def test_fsck_finds_what_tar_makes():
    """fsck.erofs finds the image sound, and extracts the same files as GNU tar: owners, modes, devices and times too."""
    need_root()                                                                 # tar and fsck set owners and make devices
    data = rich_layer()
    image = convert([data])
    need_program("fsck.erofs")
    checked = subprocess.run(["fsck.erofs", image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert checked.returncode == 0 and b"<E>" not in checked.stdout, checked
    found, wanted = extracted(image), by_tar(data)
    for one in (*found.values(), *wanted.values()):
        one["mode"] &= ~0o6000                      # fsck.erofs 1.5 sets the owner last, and so clears set-id bits
    directories = {path for path, one in wanted.items() if one["mode"] & 0o170000 == 0o040000}
    for path in directories | {path for path in wanted if path.startswith("hard.")}:
        found[path].pop("mtime"), wanted[path].pop("mtime")     # and puts files into a directory after its time
    compare(found, wanted, ("links", "attributes"), but=("holes", "zeros"))     # it leaves out holes


def test_linux_finds_what_tar_makes():
    """Linux mounts the image and finds the same files as GNU tar makes: hard links and nanoseconds too."""
    data = rich_layer()
    found = mounted(convert([data]))
    # Directories that have no entry get the time of the first file in them.
    made = by_tar(data)
    parents = [path for path in made if path.startswith("d") and path.strip("d/") == ""]
    compare(found, made, ("attributes",), but=parents)
    for path in parents:
        assert found[path]["mode"] == 0o40755 and found[path]["mtime"] == SECONDS * 10**9, path


def test_linux_finds_the_attributes():
    """Attributes are kept, those of an overlay apart."""
    found = mounted(convert([attribute_layer()]))
    assert found["capable"]["attributes"] == {"security.capability": CAPABILITY}, found["capable"]
    assert found["user"]["attributes"] == {"user.note": b"a note".hex(), "user.empty": "",
                                           "trusted.x": (b"t" * 5000).hex()}, found["user"]
    assert found["directory"]["attributes"] == {"user.d": b"on a directory".hex()}


def test_sparse_files_of_gnu_tar():
    """Sparse files in all four formats of GNU tar are the same files in the image, with their holes."""
    need_program("tar")
    layers, wanted = [], {}
    for name, options in (("gnu", ["--format=gnu"]), *((f"posix-{version}", ["--format=posix", f"--sparse-version={version}"])
                                                       for version in ("0.0", "0.1", "1.0"))):
        noise = random.Random(name)
        os.mkdir(work(name))
        for kind, size, places in (("one", 3 << 20, (1 << 20,)), ("many", 20 << 20, range(0, 20 << 20, 300000)),
                                   ("empty", 5 << 20, ()), ("end", 2 << 20, (0, (2 << 20) - 4096))):
            path = os.path.join(work(name), f"{kind}.{name}")
            with open(path, "wb") as file:
                file.truncate(size)
                for place in places:
                    file.seek(place)
                    file.write(noise.randbytes(4096))
            os.utime(path, (SECONDS, SECONDS))
            wanted[f"{kind}.{name}"] = listing(work(name))[f"{kind}.{name}"]
        layers.append(subprocess.run(["tar", "-c", "--sparse", *options, "-C", work(name), "."], check=True,
                                     stdout=subprocess.PIPE).stdout)
        assert len(layers[-1]) < 3 << 20, "tar has found no holes"
    image = convert(layers)
    assert os.path.getsize(image) < 25 << 20
    compare(mounted(image), {"": {}, **wanted}, ("uid", "gid", "attributes"))


def test_layers_are_merged_as_in_the_cache():
    """An image of several layers is one tree, and `cordon image build` makes the same bytes."""
    need_program("fsck.erofs")
    layers = busybox_layers() + [
        layer(("bin/sh", FILE, b"no link any more", 0o755), ("w/.wh..wh..opq", FILE, b"", 0o644),
              ("etc", FILE, b"a file now", 0o644), ("hard", DIRECTORY, "", 0o700), ("hard/in", FILE, b"in", 0o600)),
        layer((".wh.etc", FILE, b"", 0o644), ("w/x", LINK, "hard/in", 0o644), ("l", SYMLINK, "/w", 0o777),
              ("l/y", FILE, b"through a link", 0o644))]
    image = convert(layers)
    cache = {"XDG_CACHE_HOME": work("cache")}
    name = call("image", "build", work("image"), env=cache).expect(0).stdout.decode().strip().removeprefix("sha256:")
    with open(image, "rb") as one, open(work(f"cache/cordon/images/{name}/rootfs.erofs"), "rb") as other:
        assert one.read() == other.read()
    found = extracted(image)
    assert found["pipe"]["mode"] == 0o010644 and found["w/x"]["size"] == found["hard/in"]["size"] == 2, found
    assert found["l"]["target"] == "/w" and "w/y" in found and "etc" not in found and "all/a" not in found


def test_the_same_image_gives_the_same_bytes():
    layers = busybox_layers()
    first, second = convert(layers), work("second.erofs")
    call("image", "convert", work("image"), second).expect(0)
    with open(first, "rb") as one, open(second, "rb") as other:
        assert one.read() == other.read()
    need_program("dump.erofs")
    dump = subprocess.run(["dump.erofs", "-s", first], stdout=subprocess.PIPE, check=True).stdout
    assert b"sb_csum" in dump and b"UUID" in dump, dump


def test_the_command():
    """convert replaces a file only by a whole image, takes --ref, and leaves nothing behind when it fails."""
    digest = docker_archive(work("box.tar"), busybox_layers())
    out = scratch("out", b"as it was")
    usage = "cordon help image"
    call("image", "convert", work("box.tar")).expect_error("into which file?", "PATH FILE")
    call("image", "convert", work("box.tar"), out, "more").expect_error("unexpected argument", "PATH FILE")
    call("image", "convert", "--tag", "x", work("box.tar"), out).expect_error("--tag", usage)
    call("image", "convert", work("none.tar"), out).expect_error("none.tar")
    call("image", "convert", "--ref", "other", work("box.tar"), out).expect_error("other")
    call("image", "convert", work("box.tar"), work("none/out")).expect_error("none/out", "No such file")
    os.mkdir(work("directory"))
    call("image", "convert", work("box.tar"), work("directory")).expect_error("directory")
    hostile = busybox_layers() + [layer(("../x", FILE, b"", 0o644))]
    docker_archive(work("hostile.tar"), hostile)
    call("image", "convert", work("hostile.tar"), out).expect_error("layer 3 of 3", "'..'")
    with open(out, "rb") as file:
        assert file.read() == b"as it was"
    assert sorted(os.listdir(work())) == ["box.tar", "directory", "hostile.tar", "out"]
    call("image", "convert", "--ref", "box:latest", work("box.tar"), out).expect(0, f"sha256:{digest}\n".encode(), b"")
    with open(out, "rb") as file:
        assert file.read(1028)[1024:] == b"\xe2\xe1\xf5\xe0"
    assert sorted(os.listdir(work())) == ["box.tar", "directory", "hostile.tar", "out"]
