"""Unpacks the files of a wheel that match a pattern and checks each against the hash in the wheel's RECORD.

usage: unpack_wheel.py WHEEL FOLDER PATTERN...
"""

import base64
import csv
import fnmatch
import hashlib
import io
import os
import sys
import zipfile

CHUNK = 1 << 20


def recorded_hashes(archive):
    """The sha256 of every file, by name, as the wheel's RECORD lists them."""
    record = next(n for n in archive.namelist() if n.endswith(".dist-info/RECORD"))
    rows = csv.reader(io.TextIOWrapper(archive.open(record), "utf-8"))
    return {row[0]: row[1].removeprefix("sha256=") for row in rows if row[1]}


def unpack(archive, entry, target):
    """Writes one file and returns the sha256 of what was written, in RECORD's encoding."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    digest = hashlib.sha256()
    with archive.open(entry) as source, open(target, "wb") as out:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
    mode = entry.external_attr >> 16
    if mode:
        os.chmod(target, mode & 0o777)
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


def main(wheel, folder, patterns):
    with zipfile.ZipFile(wheel) as archive:
        hashes = recorded_hashes(archive)
        wanted = [e for e in archive.infolist() if not e.is_dir() and any(fnmatch.fnmatch(e.filename, p) for p in patterns)]
        if not wanted:
            sys.exit(f"unpack_wheel: nothing in {wheel} matches {' '.join(patterns)}")
        for entry in wanted:
            if unpack(archive, entry, os.path.join(folder, entry.filename)) != hashes.get(entry.filename):
                sys.exit(f"unpack_wheel: {entry.filename} in {wheel} does not match its recorded hash; delete the wheel and run again")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
