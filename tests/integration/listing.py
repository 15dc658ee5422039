# SPDX-License-Identifier: Apache-2.0
"""listing.py DIR: print all that a directory's files are, as JSON, for tests that compare trees of any file system."""
import hashlib
import json
import os
import stat
import sys


def attributes(path):
    try:
        return {name: os.getxattr(path, name, follow_symlinks=False).hex()
                for name in os.listxattr(path, follow_symlinks=False)}
    except OSError:
        return {}


def contents(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(1 << 20):
            total.update(data)
    return total.hexdigest()


def describe(path):
    status = os.lstat(path)
    one = {"mode": status.st_mode, "uid": status.st_uid, "gid": status.st_gid, "mtime": status.st_mtime_ns,
           "attributes": attributes(path)}
    if not stat.S_ISDIR(status.st_mode):
        one["links"] = status.st_nlink
        one["size"] = status.st_size
    if stat.S_ISREG(status.st_mode):
        one["sha256"] = contents(path)
    elif stat.S_ISLNK(status.st_mode):
        one["target"] = os.readlink(path)
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        one["device"] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    return one


def listing(top):
    """All files below top, itself included: their paths from there, and what they are."""
    found = {"": describe(top)}
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(directory, name)
            found[os.path.relpath(path, top)] = describe(path)
    return found


if __name__ == "__main__":
    json.dump(listing(sys.argv[1]), sys.stdout)
