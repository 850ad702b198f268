"""What it does that the prompt describes the constraints: the same tasks with and without.

python -m benchmarks.described_constraints [TASKS] [URL]

The embedded model, or the service at URL, with as many tasks at once as the engine computes together. Each task asks
for an object whose values stand in the prompt; agreement is how many of its fields have the value that the prompt
names, of those that an answer could have had.
"""

from __future__ import annotations

import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import mean

from maze import ConstraintIR, GenerationOptions, Intent, Orchestrator
from maze.config import read_config

TASKS = 100
MAX_TOKENS = 96
AT_ONCE_EMBEDDED = 4
"""The slots of the embedded engine."""
AT_ONCE_AT_A_SERVICE = 16
TIMEOUT_MS = 600_000

_CITIES = ("Paris", "Lima", "Oslo", "Cairo", "Tokyo", "Quito", "Delhi", "Rome")
_COLOURS = ("red", "green", "blue", "black")
_ANIMALS = ("cat", "dog", "horse", "owl", "bee")


@dataclass(frozen=True)
class Task:
    """A prompt, a schema, and the values that the prompt names."""

    prompt: str
    schema: str
    wanted: dict[str, object]


@dataclass(frozen=True)
class Outcome:
    """What came of a task."""

    success: bool
    tokens: int
    agreeing: tuple[bool, ...]
    """Of each field, whether it has the value that the prompt names."""


def tasks(count: int) -> list[Task]:
    """The same for each run."""
    chance = random.Random(7)
    made = []
    for _ in range(count):
        values: dict[str, object] = {
            "city": chance.choice(_CITIES),
            "colour": chance.choice(_COLOURS),
            "animal": chance.choice(_ANIMALS),
            "count": chance.randint(1, 99),
        }
        wanted = dict(chance.sample(sorted(values.items()), k=chance.randint(2, 4)))
        said = ", ".join(f"{name} {value}" for name, value in wanted.items())
        properties = {
            "city": {"type": "string", "maxLength": 20},
            "colour": {"enum": list(_COLOURS)},
            "animal": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 12},
            "count": {"type": "integer", "minimum": 1, "maximum": 99},
        }
        schema = {
            "type": "object",
            "properties": {name: properties[name] for name in wanted},
            "required": list(wanted),
            "additionalProperties": False,
        }
        made.append(Task(f"Fill in a record: {said}.", json.dumps(schema), wanted))
    return made


def outcome(maze: Orchestrator, task: Task, seed: int, *, describe: bool) -> Outcome:
    """Have the model do a task."""
    options = GenerationOptions(max_tokens=MAX_TOKENS, seed=seed, describe_constraints=describe, timeout_ms=TIMEOUT_MS)
    result = maze.generate(Intent(task.prompt), [ConstraintIR(json_schema=task.schema)], options)
    found = json.loads(result.code) if result.success else {}
    agreeing = tuple(str(found.get(name)).lower() == str(value).lower() for name, value in task.wanted.items())
    return Outcome(result.success, result.metadata.tokens_generated or 0, agreeing)


def main() -> None:
    """Run the tasks."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    url = sys.argv[2] if len(sys.argv) > 2 else ""
    with (
        Orchestrator(read_config({"endpoint": url})) as maze,
        ThreadPoolExecutor(AT_ONCE_AT_A_SERVICE if url else AT_ONCE_EMBEDDED) as pool,
    ):
        for describe in (True, False):
            done = list(
                pool.map(
                    lambda numbered, describe=describe: outcome(maze, numbered[1], numbered[0], describe=describe),
                    enumerate(tasks(count)),
                )
            )
            agreeing = [agrees for each in done for agrees in each.agreeing]
            successes = sum(each.success for each in done)
            print(
                f"{'described' if describe else 'not described':14} success {successes}/{count}, "
                f"{mean(each.tokens for each in done):.1f} tokens to the end, "
                f"{100 * mean(agreeing):.0f} % of the fields as the prompt says",
                flush=True,
            )


if __name__ == "__main__":
    main()
