"""The rooms of the product: who may import whom, what is imported in one place only, and how large a file is."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import maze

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "maze").rglob("*.py"))
}

FLOORS = (
    ("maze._version",),
    (
        "maze.errors",
        "maze.log",
        "maze.memory",
        "maze.native_files",
        "maze.native_json",
        "maze.ranges",
        "maze.secret",
        "maze.shown",
        "maze.descriptors",
        "maze.json_problem",
        "maze.json_text",
        "maze.store",
    ),
    ("maze.field_checks", "maze.outcome", "maze.proxies", "maze.scarcity", "maze.threads"),
    ("maze.compiled", "maze.options", "maze.result", "maze.types"),
    ("maze.ananke_settings", "maze.config", "maze.constraining", "maze.messages"),
    ("maze.grammar",),
    ("maze.check",),
    ("maze.backends",),
    ("maze.engine",),
    ("maze.cache", "maze.prompt"),
    ("maze.steering", "maze.verdict"),
    ("maze.attempt", "maze.provenance", "maze.report", "maze.tracing"),
    ("maze.batch", "maze.stream"),
    ("maze.orchestrator",),
    ("maze.asynchronous", "maze.one_orchestrator"),
    ("maze",),
    ("maze.abi", "maze.doctor", "maze.service"),
    ("maze.cli",),
    ("maze.__main__",),
)
"""From the ground up. A room imports itself and what is on the floors below it."""

MAX_LINES = 500


def floor_of(module: str) -> int:
    """The floor of the longest prefix that is named."""
    for count in range(module.count(".") + 1, 0, -1):
        prefix = ".".join(module.split(".")[:count])
        for number, rooms in enumerate(FLOORS):
            if prefix in rooms and (prefix != "maze" or module == "maze"):
                return number
    raise AssertionError(f"{module} is on no floor: name it in FLOORS")


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Modules that a file imports, at the top or within a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in SOURCES else node.module), node.lineno


def test_no_import_runs_upward() -> None:
    upward = [
        f"{module}:{line} imports {imported}"
        for module, path in SOURCES.items()
        for imported, line in imports(path)
        if imported.split(".")[0] == "maze"
        and room_of(imported) != room_of(module)
        and floor_of(imported) >= floor_of(module)
        and not (floor_of(imported) == floor_of(module) and imported < module)
    ]
    assert upward == []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for module, path in SOURCES.items():
        graph[module] = {name for name, _ in imports(path) if name in SOURCES and name != module}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, f"a circle of imports: {' -> '.join((*way[way.index(module) :], module))}"
        if module in done:
            return
        for name in graph[module]:
            visit(name, (*way, module))
        done.add(module)

    for module in SOURCES:
        visit(module, ())


def test_a_module_gives_out_another_s_names_only_through_all() -> None:
    """So that each name is imported from its home, or from a door that says that it is one."""
    given_out = [
        f"{module}:{node.lineno} {alias.name}"
        for module, path in SOURCES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == alias.asname and not alias.name.startswith("_")
    ]
    assert given_out == []


@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("llguidance", "maze.grammar.llguidance"),
        ("xllamacpp", "maze.engine.server"),
        ("referencing", "maze.grammar.schema.references"),
        ("cachetools", "maze.store"),
        ("h11", "maze.backends.http.exchange"),
    ],
)
def test_a_foreign_library_has_one_door(package: str, module: str) -> None:
    doors = {name for name, path in SOURCES.items() for found, _ in imports(path) if found.split(".")[0] == package}
    assert doors == {module}


def test_every_file_has_one_reason_and_so_few_lines() -> None:
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in SOURCES.values()}
    lines |= {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in (ROOT / "maze").rglob("*.[ch]")}
    assert {name: count for name, count in lines.items() if count > MAX_LINES} == {}


def test_no_two_classes_have_one_name() -> None:
    places = defaultdict(list)
    for module, path in SOURCES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_nothing_that_the_package_offers_is_called_as_one_of_its_modules() -> None:
    """The import of a module would put it in the place of what has its name."""
    offered = {name for name in maze.__all__ if f"maze.{name}" in SOURCES}
    assert offered == set()
    assert all(getattr(maze, name) is not None for name in maze.__all__)
