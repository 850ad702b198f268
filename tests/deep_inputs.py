"""Inputs of every kind, as deep as is asked for: makers by what they nest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Make = Callable[[int], str]
"""Makes an input that is nested as deep as the number says."""


def nested(before: str, inside: str, after: str, depth: int) -> str:
    """`inside` with `depth` times `before` and `after` around it."""
    return before * depth + inside + after * depth


def within(before: str, inside: str, after: str, around: str = "{}") -> Make:
    """Makes what is nested, and puts it into `around`."""
    head, tail = around.split("{}")
    return lambda depth: head + nested(before, inside, after, depth) + tail


def chained(first: str, link: str, last: str) -> Make:
    """Makes lines of rules: each `link` has its number for N and the next one's for M."""
    return lambda depth: (
        f"{first}\n"
        + "".join(link.replace("N", str(i)).replace("M", str(i + 1)) + "\n" for i in range(depth))
        + f"r{depth}{last}\n"
    )


def _gbnf(link: str, last: str = ' ::= "a"') -> Make:
    return chained("root ::= r0", f"rN ::= {link}", last)


def _lark(link: str, last: str = ': "a"') -> Make:
    return chained("start: r0", f"rN: {link}", last)


def _lark_terminals(link: str) -> Make:
    return lambda depth: chained("start: r0", f"rN: {link}", ': "a"')(depth).replace("r", "R").replace("staRt", "start")


def _braid(*productions: list[str]) -> Make:
    """A chain of rules, each with these productions; "next" and "own" stand for rules."""

    def make(depth: int) -> str:
        rules = [
            {"lhs": f"r{i}", "rhs": [{"next": f"r{i + 1}", "own": f"r{i}"}.get(symbol, symbol) for symbol in rhs]}
            for i in range(depth)
            for rhs in productions
        ]
        return json.dumps({"start_symbol": "r0", "rules": [*rules, {"lhs": f"r{depth}", "rhs": ["a"]}]})

    return make


GBNF: dict[str, Make] = {
    "groups": within("(", '"a"', ")", "root ::= {}"),
    "groups of alternatives": within('("b" | "c" ', "[x-z]", '"d")*', "root ::= {}"),
    "groups that are never closed": within("(", '"a"', "", "root ::= {}"),
    "groups that are equal": lambda depth: "root ::= " + " | ".join(2 * [nested('("b" | ', '"a" "b"', ")*", depth)]),
    "groups around a recursion": within('("b" | "c" ', "root", '"d")*', 'root ::= {} | "x"'),
    "groups that are counted": within('("b" | "c" ', "root", '"d"){1999}', 'root ::= {} | "x"'),
    "groups that may be absent and repeat": within("((", '"a"', ")?)*", "root ::= {}"),
    "quantifiers": within("", '"a"', "*", "root ::= {}"),
    "unit rules": _gbnf("rM"),
    "unit rules, last one first": lambda depth: (
        "".join(f"r{i} ::= r{i + 1}\n" for i in reversed(range(depth))) + f'r{depth} ::= "a"\nroot ::= r0\n'
    ),
    "unit rules that lead back": _gbnf("rM", ' ::= "a" | "b" root'),
    "texts before": _gbnf('"b" rM'),
    "choices": _gbnf('rM | "bN"'),
    "classes": _gbnf("[b-d] | rM"),
    "repetitions": _gbnf('(rM)* "b"'),
    "options": _gbnf("rM?"),
    "options of repetitions": _gbnf("(rM+)?"),
    "groups within rules": _gbnf('((("x" | rM) "y")?)*'),
    "left recursion": _gbnf('rN "x" | rM'),
    "right recursion": _gbnf('"x" rN | rM'),
    "recursion in the middle": _gbnf('"(" rN ")" | rM "d"'),
    "a circle": _gbnf('rM | "c"', ' ::= r0 "a"'),
}
GBNF_OF_ONE_RULE = [name for name, make in GBNF.items() if make(2).count("::=") == 1]
"""Those that nest within a rule; the others have a rule for each level."""
LARK: dict[str, Make] = {
    "groups": within("(", '"a"', ")", "start: {}"),
    "optional groups": within("[", '"a"', "]", "start: {}"),
    "groups of alternatives": within('("b" | ', '"a"', ")*", "start: {}"),
    "groups of a terminal": within('("b" ', '"a"', ")?", "start: A\nA: {}"),
    "unit rules": _lark("rM"),
    "texts before": _lark('"b" rM'),
    "left recursion": _lark('rN "x" | rM'),
    "right recursion": _lark('"x" rN | rM'),
    "a circle": _lark('rM | "c"', ': r0 "a"'),
    "terminals": _lark_terminals('"b" rM'),
    "complements": _lark_terminals("~rM"),
    "templates": lambda depth: "_t{x}: x\nstart: " + nested("_t{", '"a"', "}", depth),
    "groups in a regex": within("(b|", "a", ")", "start: /{}/"),
    "repetitions in a regex": within("(", "a", ")*", "start: /{}/"),
    "a schema": lambda depth: "start: %json " + nested('{"items":', "{}", "}", depth),
    "a schema that never ends": lambda depth: "start: %json " + '{"a":' * depth,
    "options": lambda depth: "%llguidance " + nested('{"a":', "1", "}", depth) + '\nstart: "a"\n',
}
BRAID: dict[str, Make] = {
    "unit rules": _braid(["next"]),
    "texts before": _braid(["b", "next"]),
    "tokens": _braid(["IDENTIFIER", "next", "("]),
    "choices": _braid(["b", "next"], []),
    "left recursion": _braid(["own", "b"], ["next"]),
    "right recursion": _braid(["b", "own"], ["next"]),
    "a start symbol of arrays": lambda depth: f'{{"start_symbol":{nested("[", "1", "]", depth)},"rules":[]}}',
    "objects that never end": lambda depth: '{"a":' * depth,
}
REGEX: dict[str, Make] = {
    "groups": within("(", "a", ")"),
    "groups that are never closed": within("(", "a", ""),
    "groups of alternatives": within("(?:b|c", "[x-z]", "d)*", "^{}$"),
    "groups that are equal": lambda depth: f"^(?:{'|q|'.join(2 * [nested('(?:b|c', '[x-z]', 'd)*', depth - 1)])})$",
    "counted groups": within("(", "a", "){2}", "^{}$"),
    "named groups": lambda depth: "".join(f"(?P<n{i}>" for i in range(depth)) + "a" + ")" * depth,
    "flags": within("(?i:b|", "a", ")"),
    "look-aheads": within("(?=b|c", "[x-z]", "d)", "^{}.*$"),
    "look-aheads at the end": within("(?=b|c", "[x-z]", ")", "^{}.*$"),
    "negative look-aheads": within("(?!b|c", "[x-z]", "d)", "^{}.*$"),
    "negative look-aheads at the end": within("(?!b|c", "[x-z]", ")", "^{}.*$"),
    "negative look-aheads that are equal": lambda depth: (
        f"^(?:{'|'.join(2 * [nested('(?!b|c', '[x-z]', 'd)', depth - 1)])}).*$"
    ),
    "look-aheads around many of one character": within("(?=b|c", "(?!a)" * 200, "d)", "^{}.*$"),
    "look-behinds": within("(?<=b|c", "[x-z]", "d)", "{}$"),
    "boundaries": within(r"(\b|", "a", ")"),
    "anchors": within("(^|b", "a", "$)"),
    "classes": within("[", "a", "]"),
    "quantifiers": within("", "a", "*"),
    "comments": within("(?#", "a", ")"),
}
_Schema = dict[str, Any]


def _references(link: Callable[[_Schema], _Schema], last: _Schema | None = None) -> Make:
    """A chain of definitions; `link` makes each from the reference to the next."""

    def make(depth: int) -> str:
        definitions = {f"d{i}": link({"$ref": f"#/$defs/d{i + 1}"}) for i in range(depth)}
        definitions[f"d{depth}"] = last or {"type": "string", "pattern": "^a$"}
        return json.dumps({"$ref": "#/$defs/d0", "$defs": definitions})

    return make


def _member(value: _Schema) -> _Schema:
    return {"type": "object", "required": ["a"], "properties": {"a": value}}


def _many(around: Callable[[_Schema], _Schema], times: int) -> Callable[[_Schema], _Schema]:
    def link(value: _Schema) -> _Schema:
        for _ in range(times):
            value = around(value)
        return value

    return link


SCHEMA: dict[str, Make] = {
    "properties": within('{"type":"object","properties":{"a":', "{}", "}}"),
    "allOf": within('{"allOf":[', "{}", "]}"),
    "anyOf": within('{"anyOf":[', "{}", "]}"),
    "oneOf": within('{"oneOf":[', "{}", "]}"),
    "not": within('{"not":', '{"type":"null"}', "}"),
    "if": within('{"if":', "{}", "}"),
    "items": within('{"type":"array","items":', "{}", "}"),
    "prefixItems": within('{"prefixItems":[', "{}", "]}"),
    "additionalProperties": within('{"additionalProperties":', "{}", "}"),
    "patternProperties": within('{"patternProperties":{"a":', "{}", "}}"),
    "$defs": within('{"$defs":{"a":', "{}", "}}"),
    "const": lambda depth: f'{{"const":{nested("[", "1.5", "]", depth)}}}',
    "enum": lambda depth: '{"enum":[' + nested('{"a":', "1", "}", depth) + "]}",
    "type": lambda depth: f'{{"type":{nested("[", "1", "]", depth)}}}',
    "an unknown keyword": lambda depth: f'{{"type":"null","x-a":{nested("[", "1", "]", depth)}}}',
    "arrays": within("[", "1", "]"),
    "arrays that never end": within("[", "", ""),
    "objects that never end": within('{"a":', "", ""),
    "Braid's shape": lambda depth: f'{{"schema_type":"object","properties":{nested("[", "1", "]", depth)}}}',
    "references": _references(lambda ref: ref),
    "references in members": _references(_member),
    "references in allOf": _references(lambda ref: {"allOf": [ref]}),
    "references in anyOf": _references(lambda ref: {"anyOf": [{"type": "integer"}, ref]}),
    "references in not": _references(lambda ref: {"not": ref}),
    "references in deep members": _references(_many(_member, 28)),
    "references in deep items": _references(_many(lambda ref: {"type": "array", "items": ref}, 58)),
    "a circle of references": _references(lambda ref: ref, {"$ref": "#/$defs/d0"}),
    "a circle of members": _references(_member, {"$ref": "#/$defs/d0"}),
    "a pointer": lambda depth: json.dumps({"type": "null", "$ref": "#" + "/a" * depth}),
    "groups in a pattern": lambda depth: json.dumps({"type": "string", "pattern": nested("(b|", "a", ")*", depth)}),
    "look-aheads in a pattern": lambda depth: json.dumps({"type": "string", "pattern": nested("(?=", "a", ")", depth)}),
}
JSON: dict[str, Make] = {
    "arrays": within("[", "1", "]"),
    "objects": within('{"a":', "1", "}"),
    "arrays that never end": within("[", "", ""),
    "objects that never end": within('{"a":', "", ""),
    "names that stand twice": lambda depth: nested("[", '{"a":1,"a":2}', "]", depth),
    "no numbers": within("[", "NaN", "]"),
    "large numbers": within("[", "1.5e400", "]"),
    "half characters": within("[", '"\\ud800"', "]"),
}
