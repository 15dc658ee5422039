# SPDX-License-Identifier: Apache-2.0
"""results.json: every sample of a run, written whole or not at all, and read with suspicion."""

import json
import os
import secrets

FORMAT = "cordon-bench"
VERSION = 1
LARGEST = 64 << 20          # bytes of a results file
ROWS, GROUPS, SAMPLES = 2000, 200, 5000     # bounds of one
LARGEST_NUMBER = 1e100                      # sums and ratios of such numbers are finite


class BadResults(Exception):
    """A results file that cannot be used; the text says why."""


def row_entry(group, row, samples, reason):
    entry = {"id": row.id, "suite": group.suite, "group": group.name, "title": row.title, "unit": row.unit,
             "better": row.better, "samples": samples}
    for name in ("against", "series", "x"):
        if getattr(row, name) not in ("", None):
            entry[name] = getattr(row, name)
    if reason:
        entry["reason"] = printable(reason)
    return entry


def values(entry):
    """The values to judge a row by: those of quiet moments, or all if there was none."""
    quiet = [sample["value"] for sample in entry["samples"] if not sample.get("busy")]
    return quiet or [sample["value"] for sample in entry["samples"]]


def busy(entry):
    """Whether all samples of the row were taken under a load from others."""
    return bool(entry["samples"]) and all(sample.get("busy") for sample in entry["samples"])


def write_file(path, text):
    """Writes a file by a temporary name, so that an old one stays whole if this fails."""
    new = f"{path}.{secrets.token_hex(4)}.new"
    try:
        # Exclusively: in a directory that others can write to, a link of theirs could have any predictable name.
        with open(new, "x", encoding="utf-8") as file:
            file.write(text)
        os.replace(new, path)
    except BaseException as error:      # a signal, too
        try:
            os.unlink(new)
        except OSError:
            pass
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, path) from None
        raise


def save(path, run):
    write_file(path, json.dumps(run, indent=1) + "\n")


def printable(value):
    """The same with harmless text: a file from elsewhere must not command the reader's terminal."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "?" for c in value)
    if isinstance(value, list):
        return [printable(each) for each in value]
    if isinstance(value, dict):
        return {printable(key): printable(each) for key, each in value.items()}
    return value


def is_number(value):
    # A comparison takes integers of any size, and is false for NaN.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def check_row(entry):
    """Whether a row of a file has what is read from it."""
    texts = all(isinstance(entry.get(key), str) for key in ("id", "suite", "group", "title", "unit"))
    return (texts and entry.get("better") in ("less", "more") and isinstance(entry.get("samples"), list)
            and len(entry["samples"]) <= SAMPLES
            and all(isinstance(entry.get(key, ""), str) for key in ("reason", "against", "series"))
            and is_number(entry.get("x", 0))
            and all(isinstance(sample, dict) and is_number(sample.get("value"))
                    and isinstance(sample.get("phases", {}), dict)
                    and all(is_number(value) for value in sample.get("phases", {}).values())
                    for sample in entry["samples"]))


def check_group(entry):
    return all(isinstance(entry.get(key), str) for key in ("name", "suite", "title", "plot", "note"))


def check_run(run):
    """Whether a run of a file has what is read from it, within the bounds."""
    rows, groups, notes = run.get("rows"), run.get("groups"), run.get("notes")
    return (isinstance(rows, list) and len(rows) <= ROWS
            and all(isinstance(row, dict) and check_row(row) for row in rows)
            and isinstance(groups, list) and len(groups) <= GROUPS
            and all(isinstance(group, dict) and check_group(group) for group in groups)
            and {row["group"] for row in rows} <= {group["name"] for group in groups}
            and isinstance(notes, list) and all(isinstance(note, str) for note in notes)
            and isinstance(run.get("host"), dict)
            and all(isinstance(run.get(key), str) for key in ("cordon", "started", "command")))


def load(path):
    """A run from its file, or BadResults."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise BadResults(f"{path}: {error.strerror}") from None
    if len(data) > LARGEST:
        raise BadResults(f"{path}: larger than {LARGEST >> 20} MiB: not a results file")
    try:
        run = printable(json.loads(data))
    except (ValueError, RecursionError):
        raise BadResults(f"{path}: not JSON: give a results.json of 'cordon bench'") from None
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        raise BadResults(f"{path}: not a results file of 'cordon bench'")
    if run.get("version") != VERSION:
        raise BadResults(f"{path}: version {repr(run.get('version'))[:40]} of the format, and this program reads {VERSION}: "
                         "measure again, or use the program that wrote it")
    if not check_run(run):
        raise BadResults(f"{path}: damaged: a row or a field is missing, or there are too many")
    return run
