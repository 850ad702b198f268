"""A Linux for another kind of machine, in a folder: Debian's Python and the locked dependencies, which qemu runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DEBIAN_NAMES = {"aarch64": "arm64", "x86_64": "amd64"}
NOT_NEEDED = ("xllamacpp",)
"""Locked packages that validation does without: 100 MB."""


def lacking_to_emulate(machine: str) -> str:
    """The tools that are missing here, with commas between; "" where all are there."""
    return ", ".join(tool for tool in ("apt-get", "dpkg-deb", f"qemu-{machine}") if shutil.which(tool) is None)


class EmulatedMachine:
    """One of a kind, with a Python 3.<minor>; the test is skipped where that cannot be downloaded."""

    def __init__(self, machine: str, minor: int, folder: Path) -> None:
        self._machine, self._minor, self._folder = machine, minor, folder
        self._system = folder / "system"
        self._environment = folder / "environment"
        self._install_system(f"libpython3.{minor}", f"python3.{minor}-minimal", "libgcc-s1")
        (self._environment / "bin").mkdir(parents=True)
        (self._environment / "bin" / "python3").symlink_to(self._system / "usr" / "bin" / f"python3.{minor}")
        settings = f"home = {self._system}/usr/bin\nversion = 3.{minor}.0\n"
        (self._environment / "pyvenv.cfg").write_text(settings)

    def _install_system(self, *packages: str) -> None:
        """Unpack packages and what they need, from where apt of this machine has its own; it is not changed."""
        apt = self._folder / "apt"
        for state in ("var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"):
            (apt / state).mkdir(parents=True)
        (apt / "var" / "lib" / "dpkg" / "status").touch()
        shutil.copytree("/etc/apt", apt / "etc" / "apt")
        architecture = DEBIAN_NAMES[self._machine]
        options = [
            *(f"Dir={apt}", f"Dir::State::status={apt}/var/lib/dpkg/status", "Acquire::Languages=none"),
            *(f"APT::Architecture={architecture}", f"APT::Architectures::={architecture}", "APT::Sandbox::User="),
        ]
        command = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
        install = ["--yes", "--no-install-recommends", "--download-only", "install", *packages]
        for asked in (["update"], install):
            done = subprocess.run([*command, *asked], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"apt gives no {', '.join(packages)} for {architecture}: {done.stderr.strip()[-300:]}")
        for package in (apt / "var" / "cache" / "apt" / "archives").glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, self._system], check=True)

    def install(self, wheel: Path) -> Path:
        """Install a wheel and the locked dependencies, as pip would there; returns the folder of the packages."""
        packages = self._environment / "lib" / f"python3.{self._minor}" / "site-packages"
        locked = re.findall(r"^\S+==(?:.*\\\n)*.*\n", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
        requirements = self._folder / "requirements.txt"
        requirements.write_text("".join(text for text in locked if not text.startswith(NOT_NEEDED)))
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        pip += ["--no-compile", "--only-binary=:all:", "--target", str(packages), "--implementation", "cp"]
        pip += ["--python-version", f"3.{self._minor}", "--abi", f"cp3{self._minor}", "--abi", "abi3", "--abi", "none"]
        for platform in ("manylinux_2_31", "manylinux_2_28", "manylinux_2_17", "manylinux2014"):
            pip += ["--platform", f"{platform}_{self._machine}"]
        subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=True)
        subprocess.run([*pip, str(wheel)], check=True)
        # Here it takes a second, there a minute. Files that this Python cannot compile are none that are imported.
        library = self._system / "usr" / "lib" / f"python3.{self._minor}"
        compiling = [sys.executable, "-m", "compileall", "-q", str(packages), str(library)]
        subprocess.run(compiling, stdout=subprocess.DEVNULL, check=False)
        return packages

    def run(self, program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of that kind of machine, with an empty environment."""
        command = [f"qemu-{self._machine}", "-L", str(self._system), str(program), *arguments]
        return subprocess.run(command, env={}, capture_output=True, text=True, check=False)
