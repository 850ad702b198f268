"""Makes the inputs that both fuzzers start from: what Braid really sends, and small ones for each kind of thing."""

from __future__ import annotations

import json
from pathlib import Path

from fuzz_case import SEPARATOR, encode

from maze import ConstraintIR, TokenMaskRules

ROOT = Path(__file__).resolve().parent.parent.parent
BRAID = ROOT / "tests" / "data" / "braid"

SCHEMAS = (
    ('{"type":"object","properties":{"a":{"type":"integer","minimum":1,"maximum":99}},"required":["a"]}', '{"a":7}'),
    ('{"schema_type":"object","properties":{"name":{"type":"string"}},"required":["name"]}', '{"name":"x"}'),
    ('{"type":"array","items":{"type":"string","pattern":"^[a-z]+$"},"minItems":1,"maxItems":3}', '["ab"]'),
    ('{"enum":["red","green",1,null,true]}', '"red"'),
    ('{"const":{"a":[1,2.5]}}', '{"a":[1,2.5]}'),
    ('{"anyOf":[{"type":"number","multipleOf":0.5},{"type":"null"}]}', "1.5"),
    ('{"oneOf":[{"type":"integer"},{"type":"string","minLength":2,"maxLength":4}]}', '"abc"'),
    ('{"allOf":[{"type":"object"},{"required":["k"]}],"not":{"required":["z"]}}', '{"k":0}'),
    ('{"$defs":{"t":{"type":"array","items":{"$ref":"#/$defs/t"}}},"$ref":"#/$defs/t"}', "[[],[[]]]"),
    ('{"type":"object","patternProperties":{"^x":{"type":"boolean"}},"additionalProperties":false}', '{"x":true}'),
    ('{"if":{"type":"string"},"then":{"format":"date"},"else":{"type":"integer"}}', '"2026-11-23"'),
    ('{"type":"array","prefixItems":[{"type":"integer"}],"items":false,"uniqueItems":true}', "[1]"),
    ('{"type":"object","propertyNames":{"pattern":"^[a-z]$"},"minProperties":1,"dependentRequired":{"a":["b"]}}', "{}"),
    ('{"type":["string","null"],"format":"uuid"}', "null"),
    ("true", "0"),
    ("false", "0"),
)
PATTERNS = (
    ("^[a-z]+$", "abc"),
    ("^(?i:ab|c)*\\d{2,4}$", "AB12"),
    ("async\\s+fn", "async fn f"),
    ("Result<.*>", "Result<u8>"),
    ("/^[a-z]+$/i", "ABC"),
    ("a.b|FLAGS:s", "a\nb"),
    ("^(?=.*\\d)(?!.*x)\\w{3,}$", "ab1"),
    ("\\bword\\b", "a word."),
    ('^\\p{L}[^\\x00-\\x1f"\\\\]*?$', "é."),
    ("^(?P<n>a|bc)(?:de)?[\\w.-]+@x\\.y$", "ade@x.y"),
    ("(a)\\1", "aa"),
    ("a++", "aa"),
    ("^$", ""),
)
GRAMMARS = (
    ('start: "a" b*\nb: "x" | /[0-9]+/\n', None, "ax12"),
    ('start: obj\nobj: "{" [pair ("," pair)*] "}"\npair: WORD ":" WORD\nWORD: /\\w+/\n%ignore " "\n', None, "{a:b}"),
    ('%llguidance {}\nstart: "x"{1,3} A\nA: /[a-c]/ & ~/b/\n', None, "xxa"),
    ('start: %json {"type":"integer"} | "n"\n', None, "5"),
    ('root ::= "yes" | "no" ws [^"\\n]* # c\nws ::= [ \\t]{0,3}\n', None, "yes"),
    ('root ::= item ("," item)*\nitem ::= [a-z]+ "=" ("1" | "\\x41" | [\\u00e9-\\u00ff])?\n', None, "a=1,b="),
    ('root ::= root "a" | "b"\n', None, "baa"),
    (
        '{"start_symbol":"program","rules":[{"lhs":"program","rhs":["FUNCTION","IDENTIFIER","LPAREN","RPAREN"]}]}',
        "python",
        "def f()",
    ),
    (
        '{"start_symbol":"s","rules":[{"lhs":"s","rhs":[]},{"lhs":"s","rhs":["s","+","NUMBER"]},{"lhs":"s","rhs":["t"]},'
        '{"lhs":"t","rhs":["return"]}]}',
        "rust",
        "return+1",
    ),
    (
        '{"start_symbol":"s","rules":[{"lhs":"s","rhs":["a","x"]},{"lhs":"s","rhs":["ab","y"]},'
        '{"lhs":"x","rhs":["bc"]},{"lhs":"y","rhs":["BOOLEAN","s"]}]}',
        "zig",
        "abc",
    ),
)


def seeds() -> list[bytes]:
    """The inputs, without wrong pointers; `faults` adds those."""
    cases = [encode([_braid(path)], _language(path), b"x = 1;\n") for path in sorted(BRAID.glob("*.json"))]
    cases += [encode([ConstraintIR(json_schema=schema)], text=text.encode()) for schema, text in SCHEMAS]
    cases += [encode([ConstraintIR(regex_patterns=(pattern,))], text=text.encode()) for pattern, text in PATTERNS]
    cases += [encode([ConstraintIR(grammar=grammar)], language, text.encode()) for grammar, language, text in GRAMMARS]
    # Several constraints, and several parts in one.
    for (schema, text), (pattern, _), (grammar, language, _) in zip(SCHEMAS, PATTERNS, GRAMMARS, strict=False):
        both = ConstraintIR(json_schema=schema, regex_patterns=(pattern, ".*"), priority=3, name="both")
        cases.append(encode([both, ConstraintIR(json_schema=SCHEMAS[0][0])], text=text.encode()))
        cases.append(encode([ConstraintIR(grammar=grammar, regex_patterns=(pattern,))], language, text.encode()))
    masks = TokenMaskRules(allowed=(1, 2, 3), forbidden=(2, 2**32 - 1))
    cases.append(encode([ConstraintIR(token_masks=masks), ConstraintIR(regex_patterns=("a",), token_masks=masks)]))
    cases.append(b"")
    return cases


def faults() -> list[bytes]:
    """Inputs with what only C can get wrong."""
    whole = encode(
        [
            ConstraintIR(
                json_schema="{}",
                grammar='start: "a"',
                regex_patterns=("a", "b"),
                token_masks=TokenMaskRules((1,), (2,)),
            )
        ],
        "python",
        b"a",
    )
    huge = b"\xff" * 8
    records = [
        *(b"0" + field for field in (b"c", b"r", b"a", b"f", b"t")),
        *(b"L" + field + length for field in (b"c", b"r", b"a", b"f", b"t") for length in (b"", b"\x01", huge)),
        b"0r" + SEPARATOR + b"Lr" + huge,
        b"R",
        b"LR",
        b"m" + b"\xad\xde" * 4,
        b"m",
        b"o\x01",
        b"o\x02",
        b"o\x00\x08",
        b"o\x00\xff" + huge * 4,
        b"ir" + b"do it",
        b"ir" + b"a" + SEPARATOR + b"ip\xff" + SEPARATOR + b"ilpython" + SEPARATOR + b"ifa.py",
        b"ip",
        *(tag + b"\xff\xfe\x00\xed\xa0\x80" for tag in (b"s", b"g", b"r", b"n", b"l", b"t")),
    ]
    return [whole + SEPARATOR + record for record in records]


def _braid(path: Path) -> ConstraintIR:
    sample = json.loads(path.read_text())
    masks = sample["token_masks"] or {}
    allowed, forbidden = masks.get("allowed_tokens"), masks.get("forbidden_tokens")
    return ConstraintIR(
        json_schema=sample["json_schema"],
        grammar=sample["grammar"],
        regex_patterns=tuple(sample["regex_patterns"]),
        token_masks=TokenMaskRules(allowed and tuple(allowed), tuple(forbidden or ())) if masks else None,
        priority=sample["priority"],
        name=sample["name"],
    )


def _language(path: Path) -> str | None:
    language: str | None = json.loads(path.read_text())["language"]
    return language


def write(folder: Path, cases: list[bytes]) -> None:
    """Write one file for each input."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases):
        (folder / f"{number:03}").write_bytes(case)
