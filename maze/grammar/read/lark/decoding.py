"""The grammar that engines decode with where the grammar of all texts must be read character by character.

An engine's lexer takes the longest match. Beside a terminal for names `if x` is read right and `ifx` is not, so to read
both, names must be taken apart to characters, and no engine bears that: each of its tokens that is a word would be read
letter by letter. So here terminals stay whole, and where one would be read on into the next something that `%ignore`
allows stands between them. All texts of this grammar are of the other one; the check of finished texts takes them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

from maze.grammar.budget import Budget, Construction, OverBudgetError
from maze.grammar.cfg.analysis import FirstFollow, pruned
from maze.grammar.cfg.longest_match import Edges, edges_of, prefix_free
from maze.grammar.cfg.model import Cfg, Literal, Nonterminal, Pattern, Production, Symbol, Terminal
from maze.grammar.cfg.productions import tree_of
from maze.grammar.cfg.stopping import stops_of
from maze.grammar.pattern.automaton import Alphabet, bits
from maze.grammar.pattern.tree import Chars, Node, alt, has_machine, text_of
from maze.grammar.read.lark.longest_match import FIRST_RULE, rules_over_tokens
from maze.grammar.read.lark.rules import TokenRules
from maze.grammar.read.lark.skipping import MAX_SKIPPED_IN_A_ROW, bounded

_MANY_CHARACTERS = 16
"""Characters of a set from which on an engine cannot bear to read a repetition of it one by one."""


def reads_by_characters(cfg: Cfg, tokens: TokenRules) -> bool:
    """Whether sets of many characters stand alone in a grammar that are within longer terminals as it was written."""
    written = {token.language for token in tokens.tokens}
    return any(
        isinstance(terminal, Pattern)
        and isinstance(terminal.language, Chars)
        and terminal.language not in written
        and sum(high - low + 1 for low, high in terminal.language.ranges) > _MANY_CHARACTERS
        for terminal in cfg.terminals()
    )


def grammar_of_whole_terminals(tokens: TokenRules, budget: Budget) -> Cfg | None:
    """The grammar with its terminals whole, in which a lexer finds its way; None if it could be left without one."""
    if any(has_machine(language) for language in (*tokens.ignored, *(each.language for each in tokens.tokens))):
        return None
    try:
        return _Whole(tokens, budget).grammar()
    except OverBudgetError:
        return None


class _Whole:
    def __init__(self, tokens: TokenRules, budget: Budget) -> None:
        self._tokens = tokens
        self._budget = budget
        self._construction = budget.construction()
        self._skipped = bounded(tokens.ignored)

    def grammar(self) -> Cfg | None:
        cfg, spelled = self._over_tokens()
        terminals = list(
            dict.fromkeys(
                symbol for symbols in spelled.values() for symbol in symbols if not isinstance(symbol, Nonterminal)
            )
        )
        of_schemas = [each for rules in self._tokens.schemas.values() for each in Cfg("", dict(rules)).terminals()]
        trees = [*map(tree_of, (*terminals, *of_schemas)), *self._tokens.ignored]
        alphabet = Alphabet(trees, self._construction)
        edges = edges_of(trees, trees, alphabet, self._construction)
        stops = stops_of(trees, trees, alphabet, self._budget.construction())
        edges = [Edges(each.first, ~stop) for each, stop in zip(edges, stops, strict=True)]
        of_skipped = edges[len(edges) - len(self._tokens.ignored) :]
        of_terminal: dict[Symbol, Edges] = dict(zip((*terminals, *of_schemas), edges, strict=False))
        of_terminal.update(self._edges_of_schemas(of_terminal))
        shapes = {
            token: Edges(of_terminal[symbols[0]].first, of_terminal[symbols[-1]].going_on)
            for token, symbols in spelled.items()
        }
        stuck = [spelled[token][-1] for token in _without_a_way_on(cfg, shapes, of_skipped, self._construction)]
        if not self._is_led_on(stuck, trees, len(terminals), dict(zip(terminals, trees, strict=False)), alphabet):
            return None
        rules = {
            name: _folded([self._spelled(rhs, spelled) for rhs in productions])
            for name, productions in cfg.rules.items()
        }
        for schema in self._tokens.schemas.values():
            rules.update(schema)
        if not self._skipped:
            return Cfg(cfg.start, rules)
        whole = f"{cfg.start} [whole text]"
        rules[whole] = ((_SKIPPED, Nonterminal(cfg.start)),)
        rules.update(_rules_of_skipped(Pattern("skipped", alt(*self._skipped))))
        return Cfg(whole, rules)

    def _is_led_on(
        self, stuck: Sequence[Symbol], trees: Sequence[Node], own: int, of: Mapping[Symbol, Node], alphabet: Alphabet
    ) -> bool:
        """Whether a lexer that cannot stop at these terminals can at all others that it then is in the middle of.

        `trees` are those of all terminals, the first `own` of them those of tokens.
        """
        bad = {of.get(symbol) for symbol in stuck}
        return None not in bad and all(
            number < own and tree not in bad
            for each in bad
            for number, tree in enumerate(trees)
            if each is not None and edges_of([each], [tree], alphabet, self._construction)[0].going_on
        )

    # -- tokens

    def _over_tokens(self) -> tuple[Cfg, dict[Terminal, Production]]:
        """The grammar over tokens, and what each of its terminals is as terminals and schemas."""
        cfg, schemas = rules_over_tokens(self._tokens, self._budget)
        pieces = self._pieces(cfg)
        spelled: dict[Terminal, Production] = {}
        for name in schemas:
            spelled[Literal(name)] = (Nonterminal(schemas[name]),)
        for symbol in filter(self._is_token, cfg.terminals()):
            token = self._tokens.token_of(ord(symbol.text))
            text = text_of(token.language)
            if text is None:
                spelled[symbol] = (Pattern(token.name, token.language),)
            else:
                spelled[symbol] = tuple(map(Literal, pieces.get(text, [text])))
        return pruned(cfg), spelled

    def _pieces(self, cfg: Cfg) -> Mapping[str, list[str]]:
        """Pieces of texts where one is the beginning of another and what follows may go on as the other does.

        So `+` may stand before `+` without anything between them, beside a text `++`. Where a terminal that is no text
        goes on so, it is left at that.
        """
        tokens = [self._tokens.token_of(ord(each.text)) for each in cfg.terminals() if self._is_token(each)]
        texts = [text for token in tokens if (text := text_of(token.language)) is not None]
        patterns = [token.language for token in tokens if text_of(token.language) is None]
        trees = [tree_of(Literal(text)) for text in texts]
        alphabet = Alphabet([*trees, *patterns, *self._skipped], self._construction)
        edges = edges_of([*trees, *patterns], [*patterns, *self._skipped], alphabet, self._construction)
        of_language = dict(zip([*trees, *patterns], edges, strict=True))
        firsts: dict[Terminal, int] = {
            each: of_language[self._tokens.token_of(ord(each.text)).language].first if self._is_token(each) else 0
            for each in cfg.terminals()
        }
        after = FirstFollow(cfg, firsts, self._construction).after_terminals()
        split: set[str] = set()
        for token, following in after.items():
            text = text_of(self._tokens.token_of(ord(token.text)).language) if self._is_token(token) else None
            if text is None or of_language[tree_of(Literal(text))].going_on:
                continue
            longer = [each for each in texts if each.startswith(text) and each != text]
            if any(following >> alphabet.group_of(each[len(text)]) & 1 for each in longer):
                split.update((text, *longer))
        return prefix_free(split, self._budget)

    @staticmethod
    def _is_token(symbol: Symbol) -> TypeGuard[Literal]:
        return isinstance(symbol, Literal) and ord(symbol.text) < FIRST_RULE

    def _edges_of_schemas(self, known: Mapping[Symbol, Edges]) -> dict[Symbol, Edges]:
        """The edges of each schema as a whole."""
        found: dict[Symbol, Edges] = {}
        for name, rules in self._tokens.schemas.items():
            cfg = Cfg(name, dict(rules))
            firsts = FirstFollow(cfg, {each: known[each].first for each in cfg.terminals()}, self._construction)
            number = {each: 1 << index for index, each in enumerate(cfg.terminals())}
            end = 1 << len(number)
            after = FirstFollow(cfg, number, self._construction, end=end).after_terminals()
            going_on = 0
            for terminal, following in after.items():
                if following & end:
                    going_on |= known[terminal].going_on
            found[Nonterminal(name)] = Edges(firsts.beginning, going_on)
        return found

    def _spelled(self, production: Production, spelled: Mapping[Terminal, Production]) -> Production:
        """The production over terminals that one over tokens stands for, with what may be skipped behind each token."""
        symbols: list[Symbol] = []
        for symbol in production:
            symbols += spelled.get(symbol, (symbol,)) if isinstance(symbol, Literal) else (symbol,)
            if isinstance(symbol, Literal) and self._skipped:
                symbols.append(_SKIPPED)
        return tuple(symbols)


def _without_a_way_on(
    cfg: Cfg, shapes: Mapping[Terminal, Edges], skipped: Sequence[Edges], budget: Construction
) -> list[Terminal]:
    """The tokens behind which a lexer may take all that can come for more of the token, or for another.

    What can come is either what follows there itself, or something skipped that in turn is followed by that.
    """
    kinds = list(dict.fromkeys(shapes.values()))
    number = {edges: 1 << index for index, edges in enumerate(kinds)}
    after = FirstFollow(cfg, {token: number[edges] for token, edges in shapes.items()}, budget).after_terminals()

    def has_a_way(left: Edges, right: Edges) -> bool:
        budget.spend(1 + len(skipped))
        return _ends_before(left, right) or any(
            _ends_before(left, each) and _ends_before(each, right) for each in skipped
        )

    return [
        token for token, mask in after.items() if not all(has_a_way(shapes[token], kinds[each]) for each in bits(mask))
    ]


def _ends_before(left: Edges, right: Edges) -> bool:
    return bool(right.first & ~left.going_on)


_SKIPPED = Nonterminal("skipped")


def _rules_of_skipped(skipped: Terminal) -> dict[str, tuple[Production, ...]]:
    rules: dict[str, tuple[Production, ...]] = {}
    for count in range(MAX_SKIPPED_IN_A_ROW):
        name = f"skipped [at most {count + 1}]" if count < MAX_SKIPPED_IN_A_ROW - 1 else _SKIPPED.name
        more: Production = (Nonterminal(f"skipped [at most {count}]"),) if count else ()
        rules[name] = ((), (skipped, *more))
    return rules


def _folded(productions: Sequence[Production]) -> tuple[Production, ...]:
    """The same alternatives, those of a terminal alone as one terminal: a lexer tells as well where it ends."""
    alone = [rhs for rhs in productions if rhs and not isinstance(rhs[0], Nonterminal) and rhs[1:] in ((), (_SKIPPED,))]
    if len(alone) < 2:
        return tuple(productions)
    folded = Pattern("one of several", alt(*(tree_of(rhs[0]) for rhs in alone if not isinstance(rhs[0], Nonterminal))))
    return (*(rhs for rhs in productions if rhs not in alone), (folded, *alone[0][1:]))
