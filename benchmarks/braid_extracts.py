"""What the constraints that Braid extracts from real files are good for.

`python -m benchmarks.braid_extracts EXTRACTS.jsonl [--generate] [--way NAME] [--languages A,B] [--every N] [--show]`:
each line of the file has a `language`, a `file`, the `ir` that Braid made of it, and the `source` if it is there. For
each way to take Braid's grammars it tells how many constraints the source satisfies, in the layout that `maze format`
gives it, and with `--generate` how many generations of the embedded model within 512 tokens are a success, at
temperature 0.7.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maze import BraidGrammar, ConstraintIR, GenerationOptions, Intent, Orchestrator, Status, TokenMaskRules
from maze.check.layout import LayoutError, laid_out
from maze.errors import MazeError
from maze.grammar.languages.syntax import find_syntax

MAX_TOKENS = 512
TIMEOUT_MS = 600_000


@dataclass(frozen=True, slots=True)
class Extract:
    """What Braid made of a file."""

    language: str
    file: str
    constraint: ConstraintIR
    source: str


@dataclass(frozen=True, slots=True)
class Way:
    """How the constraints are taken."""

    name: str
    braid_grammar: BraidGrammar
    ignores_grammars_without_language: bool = False

    def options(self, language: str, **more: Any) -> GenerationOptions:  # noqa: ANN401 - of GenerationOptions
        """How those of a language are taken, beside `more`."""
        is_hint = self.ignores_grammars_without_language and find_syntax(language) is None
        return GenerationOptions(ignore=("grammar",) if is_hint else (), braid_grammar=self.braid_grammar, **more)


WAYS = (
    *(Way(each.value, each) for each in BraidGrammar),
    Way("as_language, and the grammar ignored where the language has none", BraidGrammar.AS_LANGUAGE, True),
)


def extracts(path: Path) -> Iterator[Extract]:
    """Those of a file."""
    for line in path.read_text().splitlines():
        row = json.loads(line)
        ir = row["ir"]
        masks = ir["token_masks"]
        yield Extract(
            row["language"],
            row["file"],
            ConstraintIR(
                json_schema=ir["json_schema"],
                grammar=ir["grammar"],
                regex_patterns=tuple(ir["regex_patterns"]),
                token_masks=masks
                and TokenMaskRules(
                    allowed=masks["allowed_tokens"] and tuple(masks["allowed_tokens"]),
                    forbidden=tuple(masks["forbidden_tokens"] or ()),
                ),
                priority=ir["priority"],
            ),
            row.get("source") or "",
        )


def why_not_satisfied(maze: Orchestrator, extract: Extract, way: Way) -> str:
    """Why the file does not satisfy its own constraints; empty where it does."""
    language = find_syntax(extract.language)
    try:
        text = extract.source if language is None else laid_out(extract.source, language)
        validation = maze.validate(text, [extract.constraint], extract.language, way.options(extract.language))
    except LayoutError as error:
        return f"no layout in the grammar of {language}: {error}"
    except MazeError as error:
        return f"{error.status.name}: {error}"
    if validation:
        return ""
    broken = {outcome.path.partition(" ")[0] for outcome in validation.outcomes if outcome.satisfied is False}
    if broken == {"constraints[0].grammar"} and (way.braid_grammar is BraidGrammar.AS_GRAMMAR or language is None):
        without = "" if language else f"; {extract.language} has no grammar of its own"
        return f"Braid's grammar says little of the language{without}"
    return next(repr(outcome) for outcome in validation.outcomes if outcome.satisfied is False)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extracts", type=Path)
    parser.add_argument("--generate", action="store_true")
    parser.add_argument("--way", help="Only the way that is called so, such as as_language.")
    parser.add_argument("--languages", help="Only extracts in these languages, with commas between.")
    parser.add_argument("--every", type=int, default=1, help="Generate for every n-th extract only.")
    parser.add_argument("--show", action="store_true", help="Print what was generated.")
    arguments = parser.parse_args()
    languages = (arguments.languages or "").split(",")
    given = [each for each in extracts(arguments.extracts) if not arguments.languages or each.language in languages]
    ways = [way for way in WAYS if arguments.way in (None, way.name)]
    with Orchestrator() as maze:
        for way in ways:
            with_source = [each for each in given if each.source]
            reasons = Counter(why_not_satisfied(maze, each, way) for each in with_source)
            satisfied = reasons.pop("", 0)
            print(f"{way.name}: {satisfied} of {len(with_source)} files satisfy their own constraints")
            in_languages = [each for each in with_source if find_syntax(each.language)]
            print(f"  {len(in_languages)} of them are in languages with a grammar")
            for reason, count in reasons.most_common():
                print(f"  {count}: {reason}")
            contradictions = sum(not _compiles(maze, each, way) for each in given)
            print(f"  {contradictions} of {len(given)} constraints are refused")
            if arguments.generate:
                _generate(maze, given[:: arguments.every], way, show=arguments.show)


def _compiles(maze: Orchestrator, extract: Extract, way: Way) -> bool:
    try:
        maze.compile([extract.constraint], extract.language, way.options(extract.language))
    except MazeError as error:
        print(f"  {extract.file}: {error}")
        return False
    return True


def _generate(maze: Orchestrator, given: list[Extract], way: Way, *, show: bool) -> None:
    statuses: Counter[str] = Counter()
    successes: Counter[bool] = Counter()
    for extract in given:
        result = maze.generate(
            Intent(f"Write a short program in {extract.language}, as for {extract.file}.", language=extract.language),
            [extract.constraint],
            way.options(extract.language, max_tokens=MAX_TOKENS, timeout_ms=TIMEOUT_MS, seed=1),
        )
        statuses[result.status.name] += 1
        has_grammar = find_syntax(extract.language) is not None
        successes[has_grammar] += result.status is Status.OK
        if show:
            print(f"--- {extract.language} {extract.file}: {result!r}\n{result.code}", flush=True)
    told = ", ".join(f"{count} {name}" for name, count in statuses.most_common())
    there = sum(find_syntax(each.language) is not None for each in given)
    print(f"  generations within {MAX_TOKENS} tokens: {statuses['OK']} of {len(given)} are a success ({told});")
    others = len(given) - there
    print(f"  in languages with a grammar {successes[True]} of {there}, in others {successes[False]} of {others}")


if __name__ == "__main__":
    main()
