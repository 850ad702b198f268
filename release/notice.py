"""Writes NOTICE: whose work a wheel of libmaze carries, and what it installs beside itself.

    python -m release.notice

The packages are those of the lock files, their licences what their metadata says; `make lock` runs it.
"""

from __future__ import annotations

import importlib.metadata
import re
from importlib.metadata import Distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTICE = ROOT / "NOTICE"
LOCKS = ("requirements.lock", "requirements-model.lock")

SPDX_OF_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def locked_packages() -> list[str]:
    """Names of the packages that an installation with `embedded` and `service` has on Linux, and of the model."""
    names = []
    for lock in LOCKS:
        lines = re.findall(r"^([\w.-]+)==([^\n]*)", (ROOT / lock).read_text(), re.MULTILINE)
        names += [name for name, rest in lines if "win32" not in rest]
    return sorted(set(names), key=str.lower)


def licence_of(distribution: Distribution) -> str:
    """The licence of an installed package as an SPDX expression, or as its metadata words it."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classifiers = [item.rpartition(" :: ")[2] for item in metadata.get_all("Classifier") or []]
    if found := [SPDX_OF_CLASSIFIERS[item] for item in classifiers if item in SPDX_OF_CLASSIFIERS]:
        return " AND ".join(found)
    return metadata["License"].splitlines()[0] if "License" in metadata else "not said"


def licence_text(distribution: Distribution) -> str:
    """The licence file of an installed package."""
    files = [path for path in distribution.files or [] if path.name.startswith("LICENSE")]
    return Path(str(files[0].locate())).read_text()


def notice() -> str:
    """The text of NOTICE."""
    cffi = importlib.metadata.distribution("cffi")
    rows = [f"  {name}: {licence_of(importlib.metadata.distribution(name))}" for name in locked_packages()]
    licence = "\n".join(f"  {line.rstrip()}".rstrip() for line in licence_text(cffi).strip().splitlines())
    return f"""libmaze
Licensed under the Apache License, Version 2.0: see LICENSE. This file is written by release/notice.py.

A wheel of libmaze carries, besides its own code:

* In each maze/lib/_libmaze_3*.so: C code that cffi writes into the modules it generates.

{licence}

It carries no part of Python, whose library it finds on the machine, and no part of the packages that are installed
beside it. Those have licences of their own, as their metadata says:

{chr(10).join(rows)}
"""


def main() -> None:
    """Write the file."""
    NOTICE.write_text(notice())


if __name__ == "__main__":
    main()
