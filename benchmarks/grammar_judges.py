"""Judges of programs and texts of grammars: lark reads GBNF, Lark text and Braid's JSON, tree-sitter the languages."""

from __future__ import annotations

import ast
import importlib
import json
import re
import warnings
from collections.abc import Callable, Iterator

from lark import Lark
from lark.exceptions import UnexpectedInput
from tree_sitter import Language, Parser

from benchmarks.judges import Judge

_GBNF = re.compile(
    r"(?P<text>\"(?:\\.|[^\"\\])*\")|(?P<set>\[(?:\\.|[^\]\\])*\])|(?P<rule>[A-Za-z][\w-]*)(?=\s*::=)"
    r"|(?P<name>[A-Za-z][\w-]*)|(?P<times>\{\s*\d+\s*(?:,\s*\d*\s*)?\})|(?P<skip>#[^\n]*|\s+)"
    r"|(?P<is>::=)|(?P<any>\.)|(?P<sign>[|()*+?])",
    re.DOTALL,
)
_HEADER = re.compile(r"\s*%llguidance\s*\{.*?\}\s*\n", re.DOTALL)
_WORD = r"[A-Za-z_$][\w$]*"
_SIGNS = {
    "ARROW": "=>|->", "COLON": ":", "COMMA": ",", "EQUALS": "=", "LBRACE": r"\{", "LPAREN": r"\(", "MINUS": "-",
    "PLUS": r"\+", "RBRACE": r"\}", "RPAREN": r"\)", "SEMICOLON": ";", "SLASH": r"\/", "STAR": r"\*",
    "STRING": r'"(?:\\.|[^"\\\n])*"|' + r"'(?:\\.|[^'\\\n])*'",
    "NUMBER": r"0[xX][0-9A-Fa-f]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", "BOOLEAN": "[Tt]rue|[Ff]alse",
}  # fmt: skip
_KEYWORDS = ["ASYNC", "CASE", "CATCH", "CLASS", "ELSE", "FOR", "FUNCTION", "IF", "RETURN", "SWITCH", "TRY", "WHILE"]
_BETWEEN = r"\s+|\/\/[^\n]*|\/\*.*?\*\/|\#[^\n]*|<\?php"


def _grammar_judge(text: str, start: str) -> Judge:
    parser = Lark(text, start=start, parser="earley", lexer="dynamic_complete", regex=True)

    def judge(candidate: str) -> str | None:
        try:
            parser.parse(candidate)
        except UnexpectedInput as error:
            return f"{type(error).__name__} at {error.pos_in_stream}"
        return None

    return judge


def lark_judge(grammar: str) -> Judge:
    """Asks the lark package."""
    return _grammar_judge(_HEADER.sub("", grammar, count=1), "start")


def gbnf_judge(grammar: str) -> Judge:
    """Asks the lark package about GBNF, written as its own grammars are."""
    names: dict[str, str] = {}

    def rule(name: str) -> str:
        return names.setdefault(name, f"rule{len(names)}")

    def pieces() -> Iterator[str]:
        at = 0
        while at < len(grammar):
            match = _GBNF.match(grammar, at)
            assert match is not None, grammar[at : at + 20]
            at = match.end()
            text = match[0]
            match match.lastgroup:
                case "rule":
                    yield f"\n{rule(text)}"
                case "name":
                    yield rule(text)
                case "is":
                    yield ":"
                case "text":
                    literal = ast.literal_eval(text)
                    yield json.dumps(literal) if literal else ""
                case "set":
                    inside = text[1:-1].replace("/", r"\/").replace("[", r"\[")
                    yield f"/[{inside}]/"
                case "any":
                    yield r"/[\s\S]/"
                case "times":
                    least, comma, most = text[1:-1].replace(" ", "").partition(",")
                    yield f"~{least}..{most or 60}" if comma else f"~{least}"
                case "sign":
                    yield text

    return _grammar_judge(" ".join(pieces()) + "\n", rule("root"))


def braid_judge(grammar: str, names: str | None = None) -> Judge:
    """Asks the lark package about Braid's grammar, over tokens of any language; `names` describes identifiers."""
    made = json.loads(grammar)
    number = {rule["lhs"]: f"rule{n}" for n, rule in enumerate(made["rules"])}
    rules: list[str] = []
    for rule in made["rules"]:
        symbols = [number.get(each) or _token(each) for each in rule["rhs"]]
        # Braid means alternatives here.
        is_choice = made["start_symbol"] == "program" and rule["lhs"] == "statement"
        glue = " | " if is_choice and all(each in number for each in rule["rhs"]) else " "
        rules.append(f"{number[rule['lhs']]}: {glue.join(symbols)}\n")
    merged: dict[str, list[str]] = {}
    for line in rules:
        name, _, right = line.strip().partition(":")
        merged.setdefault(name, []).append(right)
    has_tokens = any(each.startswith("TOKEN_") for line in rules for each in line.split())
    tokens = {"IDENTIFIER": names or _WORD, **_SIGNS, **dict.fromkeys(_KEYWORDS, _WORD)} if has_tokens else {}
    text = "".join(f"{name}:{' |'.join(rights)}\n" for name, rights in merged.items())
    text += "".join(
        f"TOKEN_{token}: /{expression}/\n" for token, expression in tokens.items() if f"TOKEN_{token}" in text
    )
    return _grammar_judge(text + (f"%ignore /{_BETWEEN}/s\n" if has_tokens else ""), number[made["start_symbol"]])


def _token(symbol: str) -> str:
    if symbol == "IDENTIFIER" or symbol in _SIGNS or symbol in _KEYWORDS:
        return f"TOKEN_{symbol}"
    return json.dumps(symbol)


def syntax_judge(language: str, before: str = "", after: str = "") -> Judge:
    """Asks the language's own parser for Python and that of tree-sitter, with what makes a file of statements."""
    module = importlib.import_module(f"tree_sitter_{'c_sharp' if language == 'csharp' else language}")
    make: Callable[[], object] = getattr(
        module, {"typescript": "language_typescript", "php": "language_php"}.get(language, "language")
    )
    parser = Parser(Language(make()))

    def judge(text: str) -> str | None:
        if language == "python":
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    ast.parse(text)
            except SyntaxError as error:
                return str(error)
        return "it does not parse" if parser.parse(f"{before}{text}{after}".encode()).root_node.has_error else None

    return judge
