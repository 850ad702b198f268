"""Write what is kept of whole languages anew, beside their texts: `PYTHONPATH=. python tests/renew_languages.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from maze.compiled import EngineGrammar
from maze.grammar.budget import Budget
from maze.grammar.compose.report import digest_of
from maze.grammar.languages.syntax import STARTS, TAKEN, syntax_names
from maze.grammar.llguidance import ENGINE_LIMITS, VERSION, Matcher
from maze.grammar.read.lark import lower_lark
from maze.grammar.read.lark.language_names import full_name
from maze.grammar.read.lark.whole_languages import archive_of, whole_language
from maze.threads import run_with_big_stack

SYNTAX = Path(__file__).parent.parent / "maze" / "grammar" / "languages" / "syntax"


def grammars() -> Iterator[EngineGrammar]:
    """What each language is for engines, from each rule that a caller may begin at."""
    for name in syntax_names():
        for start in STARTS:
            if full_name(start, name) in whole_language(name).rules:
                written = lower_lark(f"%language {name} {start}", "it", Budget()).written
                assert written is not None
                yield EngineGrammar(written.rules)


def taken() -> str:
    """What is to be known of engines: the version of llguidance that is installed takes all these grammars."""
    digests = []
    for grammar in grammars():
        run_with_big_stack(Matcher(grammar, ENGINE_LIMITS).next_bytes)
        digests.append(digest_of(grammar, None))
    return json.dumps({"llguidance": VERSION, "digests": digests}, indent=2) + "\n"


def main() -> None:
    """Write it all; the file of a language that is as it was stays the same."""
    for name in syntax_names():
        (SYNTAX / f"{name}.zip").write_bytes(archive_of(name))
    whole_language.cache_clear()
    (SYNTAX / TAKEN).write_text(taken())


if __name__ == "__main__":
    main()
