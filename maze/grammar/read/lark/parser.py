"""Lark text to its statements: the syntax of Lark, and what llguidance and libmaze add to it.

A rule ends with its line; a line that goes on with it begins with `|`. Within brackets lines may end anywhere. What
says nothing about which texts there are is read over: `?` and `!` before a rule, priorities, aliases.
"""

from __future__ import annotations

from collections.abc import Iterator

from maze.errors import UnsupportedConstraintError
from maze.grammar.budget import Budget
from maze.grammar.llguidance import OPTIONS
from maze.grammar.read.lark.expressions import ExpressionParser, shown_token
from maze.grammar.read.lark.source import LarkSource
from maze.grammar.read.lark.syntax import (
    Declare,
    Definition,
    Expression,
    Extend,
    Ignore,
    Import,
    Option,
    Override,
    QuotedText,
    Restriction,
    Statement,
    is_terminal,
)
from maze.grammar.read.lark.tokens import LarkToken

_DIRECTIVES = (
    "%ignore, %import, %override, %extend, %declare, %json, %regex, %llguidance, %language, %forbid and %allow"
)


def statements_of(source: LarkSource, budget: Budget) -> Iterator[Statement]:
    """The statements of Lark text, in their order. Raises what LarkSource.fail() raises."""
    return _Parser(source, budget).statements()


class _Parser(ExpressionParser):
    def statements(self) -> Iterator[Statement]:
        while True:
            self._skip_lines()
            if self._next.kind == "end":
                return
            if self._next.kind == "options":
                yield from self._options()
            elif self._next.kind == "directive":
                yield from self._directive()
            else:
                yield self._definition()
            if self._next.kind != "line":
                self._fail(
                    f"{shown_token(self._next)} is not expected here; a rule ends with its line, and a line that goes "
                    "on with it begins with '|'"
                )

    def _directive(self) -> Iterator[Statement]:
        directive = self._taken()
        match directive.text:
            case "%ignore":
                yield Ignore(self._choice())
            case "%import":
                yield self._import(directive)
            case "%language":
                yield self._language(directive)
            case "%forbid" | "%allow":
                yield self._restriction(directive)
            case "%override":
                yield Override(self._definition())
            case "%extend":
                yield Extend(self._definition())
            case "%declare":
                while self._next.kind == "name":
                    yield Declare(self._taken().text)
            case "%lark":
                self._fail("write the rules of %lark out beside the others", directive, UnsupportedConstraintError)
            case _:
                self._fail(f"{directive.text} is no directive that is known; these are {_DIRECTIVES}", directive)

    def _options(self) -> Iterator[Statement]:
        token = self._taken()
        pairs = token.value
        if not isinstance(pairs, tuple) or len(dict(pairs)) < len(pairs):
            self._fail("after %llguidance stands a JSON object with each name once, such as {}", token)
        for option, value in pairs:
            if option not in OPTIONS:
                known = ", ".join(OPTIONS)
                self._fail(f"{option!r} is no option that every engine knows; these are {known}", token)
            if type(value) is not bool:
                self._fail(f"the option {option!r} is true or false", token)
            yield Option(option, value)
        if self._next.kind not in ("line", "end"):
            # A header parts what it stands between.
            self._tokens.insert(self._at, LarkToken("line", "\n", self._next.place))

    def _import(self, directive: LarkToken) -> Import:
        if self._sign("."):
            self._fail(
                "a grammar of another file cannot be read here; write what is imported into this one",
                directive,
                UnsupportedConstraintError,
            )
        path = [self._name("the name of a grammar").text]
        while self._sign("."):
            path.append(self._name("a name").text)
        if self._sign("("):
            names = {}
            while not self._sign(")"):
                self._skip_lines()
                name = self._name("a name").text
                names[name] = name
                self._skip_lines()
                if not self._sign(",") and self._next.text != ")":
                    self._fail(f"')' or ',' is expected, and not {shown_token(self._next)}")
            return Import(".".join(path), names, directive.place)
        if len(path) == 1:
            self._fail(f"%import takes a name of a grammar, such as {path[0]}.NAME", directive)
        name = path.pop()
        alias = self._name("the name that it gets here").text if self._sign("->") else name
        return Import(".".join(path), {name: alias}, directive.place)

    def _language(self, directive: LarkToken) -> Import:
        """`%language zig statement` is `%import language.zig.statement -> start`."""
        language = self._name("the name of a language, such as 'zig',").text
        begin = self._taken().text if self._next.kind == "name" else "file"
        return Import(f"language.{language}", {begin: "start"}, directive.place)

    def _restriction(self, directive: LarkToken) -> Restriction:
        kind = self._name("what it is about, such as 'names' or 'imports',").text
        texts: list[Expression] = []
        while self._next.kind != "line":
            token = self._taken()
            match token.kind:
                case "name":
                    name = self._dotted(token)
                    if name != token.text and kind != "imports":
                        self._fail(f"a name has no dots in it: give the parts of {name} that are meant", token)
                    texts.append(QuotedText(name, ignores_case=False, place=token.place))
                case "text":
                    texts.append(self._text(token))
                case "regex":
                    texts.append(self._regex(token))
                case _:
                    self._fail(
                        f"after {directive.text} {kind} stand names, texts in double quotes and regular expressions, "
                        f"with blanks between, and not {shown_token(token)}; write what is no name in quotes",
                        token,
                    )
        return Restriction(directive.text == "%allow", kind, tuple(texts), directive.place)

    def _dotted(self, first: LarkToken) -> str:
        """A name with those that follow it behind dots, without blanks between."""
        dotted = first.text
        while self._next.text == "." and self._next.kind == "sign":
            dot, end = self._taken(), first.place + len(dotted)
            name = self._name("a name")
            if (dot.place, name.place) != (end, end + 1):
                self._fail("a dotted name has no blanks in it; write one that begins with a dot in quotes", dot)
            dotted += f".{name.text}"
        return dotted

    def _definition(self) -> Definition:
        while self._sign("?") or self._sign("!"):
            pass
        if self._next.kind == "sign" and self._next.text == "|":
            self._fail("expecting rule, terminal or directive; nothing stands before this '|'")
        token = self._name("expecting rule, terminal or directive: a name")
        name = token.text
        if name.lower() != name and name.upper() != name:
            self._fail(f"the name {name!r} is in small and capital letters; rules are small, terminals capital", token)
        parameters: tuple[str, ...] = ()
        if self._sign("::"):
            self._refuse_parametric(token)
        if self._sign("{"):
            if is_terminal(name):
                self._fail("only rules are templates, not terminals; write it out", token, UnsupportedConstraintError)
            names = [self._name("the name of a parameter").text]
            while self._sign(","):
                names.append(self._name("the name of a parameter").text)
            self._expect("}", "after the parameters")
            parameters = tuple(names)
        if self._sign("."):
            if self._next.kind != "number":
                self._fail(f"a priority is a number, and not {shown_token(self._next)}")
            self._at += 1
        attributes = self._attributes() if self._sign("[") else {}
        self._expect(":", f"after the name {name!r} of a rule or terminal")
        return Definition(name, token.place, parameters, attributes, self._choice())

    def _attributes(self) -> dict[str, Expression | None]:
        """What stands in brackets behind the name of a rule. Refuses what no finished text shows."""
        found: dict[str, Expression | None] = {}
        while True:
            token = self._name("an attribute")
            match token.text:
                case "lazy":
                    found["lazy"] = None
                case "capture":
                    if self._sign("="):
                        self._at += 1
                case "temperature" | "stop_capture":
                    self._expect("=", f"after {token.text}")
                    self._at += 1
                case "suffix":
                    self._expect("=", "after suffix")
                    found["suffix"] = self._atom()
                case "stop":
                    self._fail(
                        "stop takes text back that the model has written, which no engine here does; write [lazy] and "
                        "the text of stop at the end of the rule, or [suffix=...]",
                        token,
                        UnsupportedConstraintError,
                    )
                case "max_tokens":
                    self._fail(
                        "max_tokens counts tokens of an engine, which no finished text shows; use a repetition such as "
                        "/.{0,80}/",
                        token,
                        UnsupportedConstraintError,
                    )
                case _:
                    self._fail(f"{token.text!r} is no attribute that is known", token)
            if not self._sign(","):
                break
        self._expect("]", "after the attributes of a rule")
        return found
