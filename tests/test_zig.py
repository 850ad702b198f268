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
import tarfile
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
    for name in ("build.zig", "build.zig.zon", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, to / name)
    for folder in ("include", "zig"):
        shutil.copytree(ROOT / folder, to / folder)


def test_every_step_and_option_is_explained() -> None:
    steps = run_zig_well("build", "-l", cwd=ROOT)
    assert re.search(r"^ +run +\w+", steps, re.MULTILINE)
    assert re.search(r"^ +test +\w+", steps, re.MULTILINE)
    assert re.search(r"^ +docs +\w+", steps, re.MULTILINE)
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


def test_the_repository_is_a_package_from_wherever_it_is_fetched(
    addresses: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)  # without the command, which knows the library of its environment
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


def test_the_first_line_says_what_to_do_where_there_is_no_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is installed, as far as pkg-config and the command know.
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.setenv("PKG_CONFIG_LIBDIR", str(tmp_path))
    monkeypatch.delenv("PKG_CONFIG_PATH", raising=False)
    copy_package(tmp_path)
    project = tmp_path / "examples" / "zig"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns(".zig-cache", "zig-out"))
    for folder, prefix in (
        (project, 'b.dependency("maze", .{ .@"maze-prefix" = "PREFIX" }) in your build.zig'),
        (tmp_path, "-Dmaze-prefix=PREFIX"),
    ):
        done = run_zig("build", cwd=folder)
        assert done.returncode != 0
        first = done.stderr.splitlines()[0]
        assert first.startswith("warning: libmaze is not installed, or not where pkg-config and the linker look.")
        assert "make install PREFIX=/usr/local" in first
        assert first.endswith(f"give that prefix: {prefix}")


def test_a_zig_that_is_too_old_is_told_first_which_versions_are_supported(tmp_path: Path) -> None:
    copy_package(tmp_path)
    build = (tmp_path / "build.zig").read_text()
    oldest = ".minor = 15, .patch = 2"
    assert oldest in build
    # As if this were a version from before the oldest.
    (tmp_path / "build.zig").write_text(build.replace(oldest, ".minor = 999, .patch = 2"))
    done = run_zig("build", cwd=tmp_path)
    assert done.returncode != 0
    assert "error: libmaze's package is for Zig 0.15.2, 0.16 and 0.17; this is Zig 0." in done.stderr.splitlines()[0]


def test_the_documentation_comes_out(tmp_path: Path) -> None:
    run_zig_well("build", "docs", "--prefix", str(tmp_path), cwd=ROOT)
    rendered = tmp_path / "docs"
    assert {path.name for path in rendered.iterdir()} == {"index.html", "main.js", "main.wasm", "sources.tar"}
    # What the page shows is what the sources say of themselves.
    with tarfile.open(rendered / "sources.tar") as sources:
        names = {name for name in sources.getnames() if name.startswith("maze/")}
        assert names == {f"maze/{path.name}" for path in (ZIG / "src").iterdir()}
        module = sources.extractfile("maze/maze.zig")
        assert module is not None
        assert b"pub fn generateAs(" in module.read()


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


def compile_errors(folder: Path, declarations: str, uses: list[str]) -> str:
    """What the compiler says about each of `uses` of the module, all in one go."""
    functions = "".join(f"export fn use{number}() void {{\n    {use}\n}}\n" for number, use in enumerate(uses))
    imports = 'const std = @import("std");\nconst maze = @import("maze");\n'
    (folder / "main.zig").write_text(imports + declarations + functions)
    modules = ["--dep", "maze", "-Mroot=main.zig", f"-Mmaze={ZIG / 'src' / 'maze.zig'}"]
    done = run_zig("build-obj", "-fno-emit-bin", "-lc", *modules, cwd=folder)
    assert done.returncode != 0
    return done.stderr


def test_structs_that_are_not_laid_out_like_braids_are_refused_at_compile_time(tmp_path: Path) -> None:
    source = (ZIG / "src" / "c.zig").read_text()
    assert "priority: u32 = 0," in source
    (tmp_path / "other.zig").write_text(source.replace("priority: u32 = 0,", "priority: u16 = 0,"))
    complaints = compile_errors(
        tmp_path,
        'const Other = @import("other.zig").ConstraintIRFFI;\n'
        "var many: [*]const maze.ConstraintIRFFI = undefined;\n"
        "var optional: ?*const maze.ConstraintIRFFI = null;\n"
        "var one: maze.ConstraintIRFFI = .{};\n",
        [
            "_ = maze.Constraints.braid(@as([]const Other, &.{}));",
            "_ = maze.Constraints.braid(@as([]const *const Other, &.{}));",
            "_ = maze.Constraints.braid(many);",
            "_ = maze.Constraints.braid(optional);",
            "_ = maze.Constraints.braid(one);",
            "_ = maze.Constraints.braid(&@as(u64, 1));",
        ],
    )
    assert complaints.count("ConstraintIRFFI.priority is not as in ConstraintIRFFI of include/maze.h") == 2
    assert "does not say how many constraints there are: write irs[0..len] or .{ irs, len }" in complaints
    assert "may be null: unwrap it, as in irs.?" in complaints
    assert "ConstraintIRFFI does not point to constraints: give a pointer to one (&ir)" in complaints
    assert "u64 is not laid out as ConstraintIRFFI of include/maze.h" in complaints


NATIVE_IR = """
const Schema = struct {
    type: []const u8, properties: ?std.json.ObjectMap, required: []const []const u8, additional_properties: bool,
};
const Rule = struct { lhs: []const u8, rhs: []const []const u8 };
const Grammar = struct { rules: []const Rule, start_symbol: []const u8 };
const Regex = struct { pattern: []const u8, flags: []const u8 };
const Masks = struct { allowed_tokens: ?[]const u32, forbidden_tokens: ?[]const u32 };
const Ir = struct {
    json_schema: ?Schema, grammar: ?Grammar, regex_patterns: []const Regex, token_masks: ?Masks, priority: u32,
};
"""


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("priority: u32", "rank: u32", "main.Ir has no field priority, as Braid's has"),
        ("priority: u32", "priority: u64", "main.Ir.priority is u64, not u32 as Braid's is"),
        ("flags: []const u8", "flag: []const u8", "main.Ir.regex_patterns[] has no field flags, as Braid's has"),
        (
            "rhs: []const []",
            "rhs: []",
            "main.Ir.grammar.rules[].rhs is []const u8, not []const []const u8 as Braid's is",
        ),
        (
            "?std.json.ObjectMap",
            "?[]const u8",
            "main.Ir.json_schema.properties is ?[]const u8, not ?std.json.ObjectMap",
        ),
        ("allowed_tokens: ?[]const u32", "allowed_tokens: ?[]const u64", "main.Ir.token_masks.allowed_tokens is"),
        ("grammar: ?Grammar", "grammar: ?[]const u8", "main.Ir.grammar is ?[]const u8, not an optional struct"),
        ("Ir = struct {", "Ir = struct { magic: u64,", "main.Ir is Braid's struct for C: pass it to Constraints.braid"),
    ],
)
def test_what_is_not_as_braids_own_struct_is_named_at_compile_time(
    tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    assert before in NATIVE_IR
    declarations = NATIVE_IR.replace(before, after) + "var irs: []const Ir = &.{};\n"
    assert complaint in compile_errors(tmp_path, declarations, ["_ = maze.Constraints.fromIR(irs);"])


NO_SCHEMA = {
    "struct { steps: []const struct { done: *const fn () void } }": "for main.T0.steps[].done, which is fn () void; "
    "it is no data",
    "struct { a: ?[*:0]const u8 }": "for main.T1.a, which is [*:0]const u8; its length is not known: write a slice",
    "union { a: u8, b: u16 }": "for main.T2, which is main.T2; nothing says which field is active: write union(enum)",
    "struct { e: anyerror }": "for main.T3.e, which is anyerror; std.json reads no errors: write an enum",
    "struct { e: error{Bad}!u8 }": "for main.T4.e, which is error{Bad}!u8; std.json reads no errors: write an optional",
    "struct { n: u128 }": "for main.T5.n, which is u128; std.json reads no more than 113 bits exactly",
    "struct { n: f128 }": "for main.T6.n, which is f128; std.json writes what no f64 holds as a string: write f64",
    "struct { v: void }": "for main.T7.v, which is void; only a field of a union may hold nothing",
    "struct { e: enum(u8) { a, _ } }": "values without a name have no text: write an enum without _",
    "struct { p: *anyopaque }": "for main.T9.p, which is anyopaque; it is no data",
    "struct { s: [3:0]u8 }": "for main.T10.s, which is [3:0]u8; std.json does not set the sentinel",
    "struct { l: std.ArrayList(u8) }": "for main.T11.l, which is array_list.Aligned(u8,null); "
    "std.json would read its capacity, too: write a slice",
    "struct { comptime c: u8 = 1 }": "for main.T12.c, which is u8; a comptime field is no part of a value",
    'struct { a: u8, pub const maze_docs = .{ .b = "x" }; }': "describes b, which is no field of main.T13",
    "struct { a: u8, pub fn jsonParse() void {} }": "main.T14; it parses itself (jsonParse): declare its schema",
    'struct { a: u8, pub const maze_docs = .{ .a = "\\xff" }; }': "T15.a, which is u8; its description is not UTF-8",
}


def test_a_type_without_a_schema_is_named_with_its_path_and_what_to_write_instead(tmp_path: Path) -> None:
    declarations = "".join(f"const T{number} = {declared};\n" for number, declared in enumerate(NO_SCHEMA))
    uses = [f"_ = maze.schemaOf(T{number});" for number in range(len(NO_SCHEMA))]
    complaints = compile_errors(tmp_path, declarations, uses)
    missing = [complaint for complaint in NO_SCHEMA.values() if complaint not in complaints]
    assert missing == [], complaints
