"""Rules with their terminals whole, as an engine's lexer reads them: by the longest match.

That is what the grammars of languages are written for. In between their tokens are characters, one for each.
"""

from __future__ import annotations

from maze.grammar.budget import Budget
from maze.grammar.cfg.analysis import pruned
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol
from maze.grammar.cfg.productions import as_written
from maze.grammar.pattern.code_points import single
from maze.grammar.pattern.tree import Chars, Node, literal, text_of
from maze.grammar.read.lark.language_names import is_declared_name, is_name_of_language, is_restricted
from maze.grammar.read.lark.rules import TokenRules, mapped

FIRST_RULE = 0x100000
"""The character that the first rule that is known already is in the rules over tokens."""


def grammar_by_longest_match(tokens: TokenRules, budget: Budget) -> Cfg:
    """The grammar whose texts are those that a lexer finds which takes the longest match and never goes back.

    It refers to rules of whole languages, which are not in it.
    """
    cfg, known = rules_over_tokens(tokens, budget)
    spelled: dict[Symbol, Symbol] = {Literal(each): Nonterminal(name) for each, name in known.items()}
    for symbol in cfg.terminals():
        if isinstance(symbol, Literal) and symbol not in spelled:
            token = tokens.token_of(ord(symbol.text))
            text = None if is_restricted(token.name) else text_of(token.language)
            spelled[symbol] = Pattern(token.name, token.language) if text is None else Literal(text)
    rules = {
        name: tuple(tuple(spelled.get(symbol, symbol) for symbol in rhs) for rhs in productions)
        for name, productions in pruned(cfg).rules.items()
    }
    for schema in tokens.schemas.values():
        rules.update(schema)
    return Cfg(cfg.start, rules)


def names_in_languages(cfg: Cfg) -> frozenset[Pattern]:
    """The terminals for names of a role, or for any names where the grammar knows no roles."""
    names = [each for each in cfg.terminals() if isinstance(each, Pattern) and is_name_of_language(each.name)]
    return frozenset([each for each in names if is_declared_name(each.name)] or names)


def rules_over_tokens(tokens: TokenRules, budget: Budget) -> tuple[Cfg, dict[str, str]]:
    """The grammar over tokens, each a Literal of one character, and the names of known rules by their characters."""
    known = {chr(FIRST_RULE + number): name for number, name in enumerate((*tokens.schemas, *tokens.of_languages))}
    characters = {name: character for character, name in known.items()}

    def of_nonterminal(node: Nonterminal) -> Node:
        return literal(characters[node.name]) if node.name in characters else node

    trees = {
        name: mapped(tree, lambda character: Chars(single(character)), of_nonterminal)
        for name, tree in tokens.rules.items()
    }
    return _without_sets(as_written("start", trees, budget)), known


def _without_sets(cfg: Cfg) -> Cfg:
    """A grammar over tokens with a rule in the place of each set of them."""
    rules: dict[str, tuple[Production, ...]] = {}
    sets: dict[Pattern, Nonterminal] = {}

    def single_token(symbol: Symbol) -> Symbol:
        if not isinstance(symbol, Pattern):
            return symbol
        if symbol not in sets:
            if not isinstance(symbol.language, Chars):
                raise AssertionError(symbol)
            sets[symbol] = Nonterminal(f"one of several [{len(sets) + 1}]")
            rules[sets[symbol].name] = tuple(
                (Literal(chr(code)),) for low, high in symbol.language.ranges for code in range(low, high + 1)
            )
        return sets[symbol]

    for name, productions in cfg.rules.items():
        rules[name] = tuple(tuple(map(single_token, rhs)) for rhs in productions)
    return Cfg(cfg.start, rules)
