"""A host in C that uses damaged model files, one after the other: it survives them all, and is told of each."""

from __future__ import annotations

from pathlib import Path

import pytest
from c_programs import compile_program, run
from damaged_models import ENDLESS_TEMPLATES, damaged_models
from llama_server import model_path

MOST_SECS = 13.0
"""The deadline of 10 s that tests/c/models.c sets, and what a busy machine adds."""


@pytest.mark.timeout(1500)
def test_a_host_survives_every_damaged_model_and_each_call_ends_with_its_own_error(tmp_path: Path) -> None:
    names = []
    paths = []
    for number, (name, write) in enumerate(damaged_models(model_path())):
        path = tmp_path / f"damaged-{number}.gguf"
        write(path)
        names.append(name)
        paths.append(path)
    assert len(paths) >= 96

    done = run(compile_program("models"), *map(str, paths), timeout_secs=1500)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr, len(lines)) == (0, "", len(paths))
    wrong = []
    statuses = {}
    for name, path, line in zip(names, paths, lines, strict=True):
        secs, status, error = line.split(" ", 2)
        statuses[name] = status
        is_told = status in ("MAZE_CONFIGURATION", "MAZE_ENGINE_UNAVAILABLE", "MAZE_TIMED_OUT") and str(path) in error
        # Some damage leaves a model that works, as far as its weights of zeros can show.
        if float(secs) > MOST_SECS or not (is_told or status == "MAZE_OK"):
            wrong.append(f"{name}: {line}")
    assert wrong == []
    assert statuses["llama.context_length = 0"] == "MAZE_CONFIGURATION"
    assert statuses["equal tokens"] == "MAZE_CONFIGURATION"
    assert statuses["template: recursive macro"] == "MAZE_CONFIGURATION"
    assert statuses["template: without the prompt"] == "MAZE_CONFIGURATION"
    assert all(statuses[f"template: {name}"] != "MAZE_OK" for name in ENDLESS_TEMPLATES if name != "huge text")
    assert sum(status == "MAZE_CONFIGURATION" for status in statuses.values()) > 60
