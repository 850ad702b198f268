"""Puts files into a wheel. The bytes depend on what is in it alone, not on when and where it was packed."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from pathlib import Path

EPOCH = (2020, 1, 1, 0, 0, 0)
"""The time of every file: zip knows none before 1980, and pip warns of 1980."""


def pack(pure: Path, added: Path, tag: str, destination: Path) -> Path:
    """Write the wheel `pure` with the files below `added`, tagged, into `destination`; returns its path."""
    with zipfile.ZipFile(pure) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}
    files |= {path.relative_to(added).as_posix(): path.read_bytes() for path in added.rglob("*") if path.is_file()}
    (information,) = (name for name in files if name.endswith(".dist-info/WHEEL"))
    text = re.sub(r"^Tag: .*$", f"Tag: {tag}", files[information].decode(), flags=re.MULTILINE)
    files[information] = text.replace("Root-Is-Purelib: true", "Root-Is-Purelib: false").encode()
    record = information.removesuffix("WHEEL") + "RECORD"
    del files[record]
    lines = [f"{name},sha256={_digest(content)},{len(content)}\n" for name, content in sorted(files.items())]
    files[record] = "".join([*lines, f"{record},,\n"]).encode()

    name, version, *_ = pure.name.split("-")
    packed = destination / f"{name}-{version}-{tag}.whl"
    # RECORD and what lies beside it at the end, as the standard recommends.
    in_order = sorted(files, key=lambda name: (".dist-info/" in name, name == record, name))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in in_order:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = (0o100755 if ".so" in Path(name).suffixes else 0o100644) << 16
            wheel.writestr(entry, files[name])
    return packed


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
