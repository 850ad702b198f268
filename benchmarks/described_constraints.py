"""What it does that the prompt describes the constraints: the same tasks with and without.

python -m benchmarks.described_constraints [TASKS] [URL]

The embedded model, or the service at URL. Each task asks for an object whose values stand in the prompt; agreement is
how many of its fields have the value that the prompt names, of those that an answer could have had.
"""

from __future__ import annotations

import json
import random
import sys
from statistics import mean

from maze import ConstraintIR, GenerationOptions, Intent, Orchestrator
from maze.config import read_config

TASKS = 100
MAX_TOKENS = 96

_CITIES = ("Paris", "Lima", "Oslo", "Cairo", "Tokyo", "Quito", "Delhi", "Rome")
_COLOURS = ("red", "green", "blue", "black")
_ANIMALS = ("cat", "dog", "horse", "owl", "bee")


def tasks(count: int) -> list[tuple[str, str, dict[str, object]]]:
    """A prompt, a schema, and the values that the prompt names."""
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
        made.append((f"Fill in a record: {said}.", json.dumps(schema), wanted))
    return made


def main() -> None:
    """Run the tasks."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TASKS
    with Orchestrator(read_config({"endpoint": sys.argv[2] if len(sys.argv) > 2 else ""})) as maze:
        for describe in (True, False):
            tokens, successes, agreeing = [], 0, []
            for seed, (prompt, schema, wanted) in enumerate(tasks(count)):
                options = GenerationOptions(max_tokens=MAX_TOKENS, seed=seed, describe_constraints=describe)
                result = maze.generate(Intent(prompt), [ConstraintIR(json_schema=schema)], options)
                tokens.append(result.metadata.tokens_generated or 0)
                successes += result.success
                found = json.loads(result.code) if result.success else {}
                agreeing += [str(found.get(name)).lower() == str(value).lower() for name, value in wanted.items()]
            print(
                f"{'described' if describe else 'not described':14} success {successes}/{count}, "
                f"{mean(tokens):.1f} tokens to the end, {100 * mean(agreeing):.0f} % of the fields as the prompt says",
                flush=True,
            )


if __name__ == "__main__":
    main()
