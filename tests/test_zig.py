"""The Zig package from outside: the demo, packages that depend on it, and its hold on include/maze.h.

Its own tests are in zig/tests, for `zig build test`.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parent.parent
ZIG = ROOT / "zig"
EXAMPLE = ROOT / "examples" / "zig"


CACHES = {
    "ZIG_LOCAL_CACHE_DIR": str(ROOT / ".zig-cache"),
    "ZIG_GLOBAL_CACHE_DIR": str(ROOT / "build" / "zig-cache"),
}
"""Those of the source tree, so that every build finds what others have compiled."""


def run_zig(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ziglang", *arguments],
        cwd=cwd,
        env={**CACHES, **os.environ},
        capture_output=True,
        text=True,
        check=False,
    )


def run_zig_well(*arguments: str, cwd: Path) -> str:
    done = run_zig(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def blocks(text: str, label: str) -> list[str]:
    """What the demo shows under each `label`: the lines up to the next empty one."""
    return re.findall(rf"^{re.escape(label)}\n(.*?)\n(?:\n|\Z)", text, re.MULTILINE | re.DOTALL)


def copy_package(to: Path) -> None:
    """Copy what build.zig.zon says that the package is."""
    for name in ("build.zig", "build.zig.zon"):
        shutil.copy(ROOT / name, to / name)
    for folder in ("include", "zig"):
        shutil.copytree(ROOT / folder, to / folder)


def test_every_step_and_option_is_explained() -> None:
    steps = run_zig_well("build", "-l", cwd=ROOT)
    assert re.search(r"^ +run +\w+", steps, re.MULTILINE)
    assert re.search(r"^ +test +\w+", steps, re.MULTILINE)
    assert re.search(r"-Dmaze-prefix=\[string\] +\w+", run_zig_well("build", "--help", cwd=ROOT))


def test_the_demo_shows_code_that_independent_validators_accept() -> None:
    shown = run_zig_well("build", "run", cwd=ROOT)

    [schema] = blocks(shown, "Constraint: JSON Schema")
    [pattern] = blocks(shown, "Constraint: regular expression")
    plan, function = blocks(shown, "Generated")
    jsonschema.Draft202012Validator(json.loads(schema)).validate(json.loads(plan))
    assert re.fullmatch(pattern, function)

    for outcomes in blocks(shown, "Validation"):
        assert outcomes.startswith("satisfied  constraints[0].")
    for times in blocks(shown, "Time"):
        assert re.fullmatch(r"( +[\d.]+ ms  .+\n?){5}", times)


def test_the_installed_demo_runs_from_anywhere_and_says_what_is_wrong(tmp_path: Path) -> None:
    run_zig_well("build", "--prefix", str(tmp_path), cwd=ROOT)
    done = subprocess.run(
        [tmp_path / "bin" / "maze-demo"],
        cwd=tmp_path,
        env={**os.environ, "MODAL_ENDPOINT": "nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "\nlibmaze: MODAL_ENDPOINT " in done.stdout
    assert done.stderr == ""


def test_a_package_that_depends_on_it_builds_and_generates() -> None:
    code = run_zig_well("build", "run", cwd=EXAMPLE)
    assert set(json.loads(code)) == {"name", "returns"}


class _GitOverHttp(http.server.BaseHTTPRequestHandler):
    """`git http-backend` behind an HTTP server, as people serve their repositories."""

    root: Path

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        asked = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        done = subprocess.run(
            ["git", "http-backend"], env={**os.environ, **asked}, input=body, capture_output=True, check=True
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = [line.partition(": ") for line in head.decode().split("\r\n")]
        self.send_response(int(next((value[:3] for name, _, value in headers if name == "Status"), "200")))
        for name, _, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Where the package of the last commit can be fetched from, by kind."""
    repository = tmp_path / "libmaze.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", ROOT, repository], check=True)
    tarball = tmp_path / "libmaze.tar.gz"
    archive: list[str | Path] = ["git", "-C", repository, "archive", "--prefix=libmaze/", "-o", tarball, "HEAD"]
    subprocess.run(archive, check=True)
    subprocess.run(["tar", "-xzf", tarball, "-C", tmp_path], check=True)
    handler = type("Handler", (_GitOverHttp,), {"root": tmp_path})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "path": str(tmp_path / "libmaze"),
            "tarball": str(tarball),
            "file": f"file://{tarball}",
            "git": f"git+http://127.0.0.1:{server.server_port}/libmaze.git",
        }
        server.shutdown()


def test_the_repository_is_a_package_from_wherever_it_is_fetched(addresses: dict[str, str], tmp_path: Path) -> None:
    fetched = {kind: run_zig_well("fetch", address, cwd=tmp_path) for kind, address in addresses.items()}
    assert len(set(fetched.values())) == 1, fetched

    project = tmp_path / "project"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns(".zig-cache", "zig-out"))
    manifest = (project / "build.zig.zon").read_text()
    (project / "build.zig.zon").write_text(
        re.sub(r"    \.dependencies = \.\{.*?\n    \},\n", "", manifest, flags=re.DOTALL)
    )
    run_zig_well("fetch", "--save=maze", addresses["git"], cwd=project)
    build = (project / "build.zig").read_text()
    unbuilt = run_zig("build", cwd=project)
    assert unbuilt.returncode != 0
    plain = ".optimize = optimize })"
    assert plain in build

    def with_prefix(prefix: str) -> subprocess.CompletedProcess[str]:
        named = build.replace(plain, f'.optimize = optimize, .@"maze-prefix" = @as([]const u8, "{prefix}") }})')
        (project / "build.zig").write_text(named)
        return run_zig("build", "run", cwd=project)

    wrong = with_prefix("/nowhere")
    assert wrong.returncode != 0
    assert 'give its prefix: b.dependency("maze", .{ .@"maze-prefix" =' in wrong.stderr
    done = with_prefix(sys.prefix)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"name", "returns"}


def test_an_installed_library_is_found_under_its_prefix(tmp_path: Path) -> None:
    nowhere = run_zig("build", "-Dmaze-prefix=/nowhere", "--prefix", str(tmp_path), cwd=ROOT)
    assert nowhere.returncode != 0
    assert "there is no libmaze.so in /nowhere/lib: build libmaze there" in nowhere.stderr
    assert "give its prefix: -Dmaze-prefix=" in nowhere.stderr
    run_zig_well("build", f"-Dmaze-prefix={sys.prefix}", "--prefix", str(tmp_path), cwd=ROOT)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("uint32_t priority;", "uint64_t priority;", "differ in ConstraintIRFFI.priority: type"),
        ("uint32_t priority;", "int32_t priority;", "differ in ConstraintIRFFI.priority: type"),
        ("const char *prompt;", "char *prompt;", "differ in IntentFFI.prompt: constness"),
        ("bool success;", "bool succeeded;", "does not have GenerationResultFFI.success"),
        ("size_t stop_len;", "size_t stop_len;\n    int more;", "differ in MazeOptionsFFI: size"),
        ("MAZE_TIMED_OUT = 14", "MAZE_TIMED_OUT = 24", "differ in MAZE_TIMED_OUT: value"),
        ("MAZE_FORKED = 18,", "MAZE_FORKED = 18,\n    MAZE_NEW = 20,", "does not declare MAZE_NEW"),
        ("MAZE_API void maze_shutdown(void);", "", "does not declare maze_shutdown"),
        ("maze_shutdown(void);", "maze_shutdown(void);\nvoid maze_new(void);", "does not declare maze_new"),
        ("maze_shutdown(void);", "maze_shutdown(int hard);", "differ in maze_shutdown: number of parameters"),
        ("#define MAZE_ABI_VERSION 1", "#define MAZE_ABI_VERSION 2", "differ in MAZE_ABI_VERSION: value"),
        ('#define MAZE_VERSION "', '#define MAZE_VERSION "9', "differ in MAZE_VERSION: value"),
        ("0, 0, -1.0, -1, 0, 0, 0}", "0, 0, -1.0, 1, 0, 0, 0}", "the defaults of the option and configuration structs"),
    ],
)
def test_a_changed_header_fails_the_build(tmp_path: Path, before: str, after: str, complaint: str) -> None:
    copy_package(tmp_path)
    header = (ROOT / "include" / "maze.h").read_text()
    assert before in header
    (tmp_path / "include" / "maze.h").write_text(header.replace(before, after))

    # Only the comparison, without the tests that call the library.
    (tmp_path / "zig" / "tests" / "tests.zig").write_text('test {\n    _ = @import("layout.zig");\n}\n')
    done = run_zig("build", "test", f"-Dmaze-prefix={sys.prefix}", cwd=tmp_path)
    assert done.returncode != 0
    assert complaint in done.stderr


def test_structs_that_are_not_laid_out_like_braids_are_refused_at_compile_time(tmp_path: Path) -> None:
    source = (ZIG / "src" / "c.zig").read_text()
    assert "priority: u32 = 0," in source
    (tmp_path / "other.zig").write_text(source.replace("priority: u32 = 0,", "priority: u16 = 0,"))
    (tmp_path / "main.zig").write_text(
        'const other = @import("other.zig");\n'
        "export fn use(irs: [*]const other.ConstraintIRFFI) void {\n"
        '    _ = @import("maze").Constraints.braid(irs[0..1]);\n'
        "}\n"
    )
    modules = ["--dep", "maze", "-Mroot=main.zig", f"-Mmaze={ZIG / 'src' / 'maze.zig'}"]
    done = run_zig("build-obj", "-fno-emit-bin", "-lc", *modules, cwd=tmp_path)
    assert done.returncode != 0
    assert "ConstraintIRFFI.priority is not as in ConstraintIRFFI of include/maze.h" in done.stderr
