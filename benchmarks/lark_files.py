"""What becomes of Lark files: the table of docs/lark.md.

    python -m benchmarks.lark_files FILE...

Each file is compiled as it is; one without a rule `start` is begun at its first rule. A row says what was made of it,
or why it is refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from maze.errors import MazeError
from maze.grammar.budget import Budget
from maze.grammar.cfg.lark_writer import cfg_to_lark
from maze.grammar.cfg.lowered import LoweredGrammar
from maze.grammar.llguidance import check_grammar, is_bearable
from maze.grammar.read.lark import lower_lark
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.statements import definitions_of
from maze.grammar.read.lark.syntax import is_terminal
from maze.threads import run_with_big_stack


def row(path: Path) -> str:
    """The row of the table for a file."""
    text, began = path.read_text(), ""
    budget = Budget()
    try:
        rules = definitions_of(LarkSource(text, path.name), budget).by_name
        names = [name for name, each in rules.items() if not is_terminal(name) and not each.parameters]
        if "start" not in rules and names:
            text, began = f"{text}\nstart: {names[0]}\n", f" (begun at `{names[0]}`)"
        result = run_with_big_stack(lambda: _made(lower_lark(text, path.name, budget), budget))
    except MazeError as error:
        reason = str(error).partition("\n")[0].removeprefix(f"{path.name} was taken for Lark text: ")
        result = f"refused: {reason.replace('|', chr(92) + '|')}"
    return f"| {path.name}{began} | {result} | {budget.spent / 1e6:.1f} |"


def _made(lowered: LoweredGrammar, budget: Budget) -> str:
    enforced = lowered.read_whole or lowered.cfg
    check_grammar(cfg_to_lark(enforced, budget), budget)
    how = "terminals read whole" if lowered.read_whole else "exact"
    if not is_bearable(cfg_to_lark(enforced, budget), budget):
        how += ", but more than an engine with the usual limits bears,"
    return f"compiles: {len(enforced.rules)} rules, {len(enforced.terminals())} terminals, {how} while decoding"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    print("| file | becomes | million steps |\n|---|---|---|")
    for path in parser.parse_args().files:
        print(row(path), flush=True)


if __name__ == "__main__":
    main()
