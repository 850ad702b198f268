"""What pip calls to build libmaze from its sources (PEP 517): setuptools, and the native library for one Python."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

import build_ffi
from release.packing import pack

__all__ = [
    "build_editable",
    "build_pure_wheel",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]


def build_pure_wheel(folder: Path) -> Path:
    """The wheel that setuptools makes: the Python package alone."""
    settings = folder / "settings.cfg"
    # Outside of the tree: what was built there before would be taken over, also if it is no longer in the sources.
    settings.write_text(f"[global]\nverbose = 0\n[build]\nbuild_base = {folder / 'build'}\n")
    before = os.environ.get("DIST_EXTRA_CONFIG")
    os.environ["DIST_EXTRA_CONFIG"] = str(settings)
    try:
        return folder / build_meta.build_wheel(str(folder), {"--global-option": ["--quiet"]})
    finally:
        del os.environ["DIST_EXTRA_CONFIG"]
        if before is not None:
            os.environ["DIST_EXTRA_CONFIG"] = before


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """A wheel for the Python that runs this, with the native library on Linux; elsewhere the Python package alone."""
    if platform.system() != "Linux":
        return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        package = folder / "native" / "maze"
        build_ffi.build(package, folder / "objects")
        build_ffi.complete_package(package)
        system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        tag = f"cp3{sys.version_info.minor}-none-{system}"
        return pack(build_pure_wheel(folder), folder / "native", tag, Path(wheel_directory)).name
