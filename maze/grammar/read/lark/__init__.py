"""Lark text to the one grammar value.

As a text, whatever lexer would read it: the texts of a rule are those of its terminals one after the other, and what
`%ignore` allows may stand between any two of them and at both ends.
"""

from __future__ import annotations

from maze.errors import InvalidConstraintError, LimitExceededError
from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import chain_is_longer, listed, without_dead_rules
from maze.grammar.cfg.lark_writer import MAX_DEPTH
from maze.grammar.cfg.lowered import LoweredGrammar, written_beside
from maze.grammar.cfg.model import Cfg
from maze.grammar.cfg.productions import to_cfg
from maze.grammar.pattern.tree import Node, alt, repeat
from maze.grammar.read.lark.decoding import grammar_of_whole_terminals, reads_by_characters
from maze.grammar.read.lark.languages import narrowed_rules
from maze.grammar.read.lark.longest_match import grammar_by_longest_match, names_in_languages
from maze.grammar.read.lark.parts import parts_of, shown_names
from maze.grammar.read.lark.rules import token_rules
from maze.grammar.read.lark.skipping import MAX_SKIPPED_IN_A_ROW, bounded, rules_of_texts, without_end
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.statements import definitions_of
from maze.grammar.read.lark.syntax import QuotedText, Reference, Regex, is_terminal

MAX_LARK_CHARACTERS = 1_000_000
"""Longest Lark text."""


def lower_lark(text: str, path: str, budget: Budget) -> LoweredGrammar:
    """Lower Lark text, which begins at the rule `start`.

    Raises InvalidConstraintError with line and column for what is broken, UnsupportedConstraintError for what cannot be
    honoured, ContradictionError where no text is described at all, LimitExceededError for what is too large.
    """
    if len(text) > MAX_LARK_CHARACTERS:
        raise LimitExceededError(
            f"{path} has {len(text):,} characters of Lark text; the limit is {MAX_LARK_CHARACTERS:,}"
        )
    source = LarkSource(text, path)
    definitions = definitions_of(source, budget)
    if "start" not in definitions.by_name:
        names = [name for name in definitions.by_name if not is_terminal(name)]
        raise InvalidConstraintError(
            f"{path} was taken for Lark text, but has no rule start; Lark text begins at a rule start"
            + (f". Its rules are {shown_names(names)}; add 'start: {names[0]}' if that is all of it" if names else "")
        )
    if chain_is_longer(MAX_DEPTH, "start", definitions.references()):
        raise LimitExceededError(
            f"{path}: the rules refer to each other in a chain of over {MAX_DEPTH:,}, the limit; make the chain shorter"
        )
    options = tuple(sorted(definitions.options))
    warnings: list[str] = []
    beside = tuple(narrowed_rules(definitions, budget))
    made = token_rules(definitions, budget, warnings)
    because = f" (no text is in {shown_names(dict.fromkeys(made.without_texts))})" if made.without_texts else ""
    written = {name for name, each in definitions.by_name.items() if not is_terminal(name) and not each.parameters}
    if unused := written - made.rules.keys():
        warnings.append(f"{path}: nothing leads from the rule 'start' to {listed(sorted(unused))}")

    def alive(cfg: Cfg) -> Cfg:
        cfg, found = without_dead_rules(cfg, path, made.rules, because)
        warnings.extend(found)
        return cfg

    def in_any_way(skipped: Node) -> Cfg:
        given = {name: productions for schema in made.schemas.values() for name, productions in schema.items()}
        return alive(to_cfg("start", rules_of_texts(made, skipped), budget, given, by_place=True))

    if definitions.languages:
        if made.ignored:
            parts = (part for each in definitions.ignored for part in parts_of(each))
            place = next((part.place for part in parts if isinstance(part, QuotedText | Regex | Reference)), 0)
            source.fail(place, "the grammars of languages hold their blanks, and nothing more is ignored; drop %ignore")
        own = grammar_by_longest_match(made, budget)
        known = {name: productions for each in beside for name, productions in each.rules().items()}
        cfg = alive(Cfg(own.start, own.rules | known))
        return LoweredGrammar(
            cfg,
            warnings=tuple(dict.fromkeys(warnings)),
            identifier_terminals=names_in_languages(cfg),
            is_of_languages=True,
            options=options,
            written=written_beside(cfg, own.rules, beside, budget),
        )
    whole = in_any_way(without_end(made.ignored))
    read_whole = grammar_of_whole_terminals(made, budget) if reads_by_characters(whole, made) else None
    cfg = whole
    if made.ignored and read_whole is None:
        cfg = in_any_way(repeat(alt(*bounded(made.ignored)), 0, MAX_SKIPPED_IN_A_ROW))
    found = tuple(dict.fromkeys(warnings))
    return LoweredGrammar(cfg, whole=whole, read_whole=read_whole, warnings=found, options=options)
