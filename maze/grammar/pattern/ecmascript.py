r"""The patterns of JSON Schemas, which are those of ECMAScript with the flag `u`.

They differ from a caller's patterns in what is said beside the characters: a text is searched for them, so that there
are no delimiters, and there are neither flags, POSIX classes, `\Q..\E`, `\R` nor possessive quantifiers. `\s` is all
white space of Unicode, `[^]` is any character and `[]` none.
"""

from __future__ import annotations

from collections.abc import Mapping

from maze.grammar.budget import Budget
from maze.grammar.pattern.assertions import resolve
from maze.grammar.pattern.backreferences import with_any_texts
from maze.grammar.pattern.code_points import ANY, DIGIT, WORD, Ranges, characters, union
from maze.grammar.pattern.parser import MAX_PATTERN_CHARACTERS, PatternParser
from maze.grammar.pattern.source import Source
from maze.grammar.pattern.tree import MAX_CONJUNCTS, Node, conjuncts

_SPACE = union(characters("\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"), ((0x2000, 0x200A),))

CLASS_ESCAPES: Mapping[str, Ranges] = {"d": DIGIT, "w": WORD, "s": _SPACE}


def parse_ecmascript(regex: str, path: str, budget: Budget, *, wider: bool = False) -> Node:
    """The texts in which a pattern of a JSON Schema is found. Raises as parse_pattern().

    If `wider`, of a pattern with backreferences: these texts and others, in which groups repeat any of their texts.
    """
    source = Source(regex, path)
    if len(regex) > MAX_PATTERN_CHARACTERS:
        source.too_large(f"the pattern has {len(regex)} characters; at most {MAX_PATTERN_CHARACTERS} are taken")
    budget.spend(20 + 3 * len(regex))
    tree = (_WiderParser if wider else _EcmascriptParser)(regex, source, budget).parse()
    language = resolve(tree, source, budget, left_open=True, right_open=True)
    if conjuncts(language) > MAX_CONJUNCTS:
        source.too_large(f"the pattern {source.shown} has over {MAX_CONJUNCTS} look-arounds that must hold together")
    return language


class _EcmascriptParser(PatternParser):
    class_escapes = CLASS_ESCAPES
    has_extensions = False

    def _group(self, at: int) -> tuple[Node | None, int]:
        if self._peek("?") and not self._match(r"\?(:|<?[=!]|<[A-Za-z_])"):
            self._source.unsupported("a group that is none of ECMAScript's", at, "cannot be enforced; use (?:...)")
        return super()._group(at)

    def _escape(self, at: int) -> tuple[Node, int]:
        if self._match("[AzZRg]"):
            self._source.unsupported(
                f"\\{self._body[self._at]}", at, "is not one of ECMAScript's; write it out, as ^, $ or \\k<name>"
            )
        return super()._escape(at)

    def _char_escape(self, at: int) -> Ranges:
        if self._match("[aeU]"):
            self._source.unsupported(f"\\{self._body[self._at]}", at, "is not one of ECMAScript's; use \\u....")
        return super()._char_escape(at)

    def _class(self, at: int) -> Ranges:
        for text, ranges in (("]", ()), ("^]", ANY)):
            if self._peek(text):
                self._at += len(text)
                return ranges
        return super()._class(at)

    def _named_class(self, at: int) -> Ranges | None:  # noqa: ARG002 - there are none
        return None


class _WiderParser(_EcmascriptParser):
    def _without_references(self, tree: Node) -> Node:
        found = with_any_texts(tree)
        if found is None:
            self._source.unsupported("a backreference beside a look-around", 0, "is not regular")
        return found
