"""maze/grammar/special_tokens.py: which grammars may force the text of a special token."""

from __future__ import annotations

import json
from pathlib import Path
from timeit import timeit

import pytest
from grammar_texts import LANGUAGES

from maze.compiled import EngineGrammar
from maze.grammar import compile_constraints
from maze.grammar.llguidance import Matcher
from maze.grammar.special_tokens import may_spell_special_token, may_spell_usual_special_token
from maze.types import ConstraintIR

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|begin_of_text|>", "<repo_name>", "<file_sep>",
    "<filename>", "<gh_stars>", "<issue_start>", "<jupyter_code>", "<empty_output>", "<unk>", "<pad>", "<bos>", "<eos>",
    "<think>", "</think>", "<tool_call>", "<start_of_turn>", "[INST]", "[/INST]",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "<fim_prefix>",
)  # fmt: skip
"""Of SmolLM2, Llama 3, Qwen, StarCoder, Gemma, Mistral and DeepSeek."""


@pytest.mark.parametrize(
    "rules",
    [
        'start: "<|im_end|>"',
        'start: "a<|im_end|>b"',
        'start: "<|im" "_end|>"',
        'start: A b\nb: "_end|>"\nA: "say <|im"',
        'start: "<" ("|im_end|>" | "b")',
        'start: "\\u003c|im_end|>"',
        "start: A\nA: /<\\|im_end\\|>/",
        "start: A\nA: /<\\|(im)_end[|]>/",
        "start: A\nA: /\\x3c[|]im_end\\x{7c}\\u{3E}/",
        "start: A\nA: /.*/ & /<\\|im_end\\|>/",
        "start: A\nA: /(?s:.*)<\\|im_end\\|>/",
        'start: "<|" "i" "m" "_" "en" "d" "|>"',
        'start: %json {"const": "<|im_end|>"}',
        'start: %json {"const": "\\u003c|im_end|\\u003E"}',
        'start: %json {"enum": [["<|im_end|>", 1], 2]}',
        'start: %json {"properties": {"<|im_end|>": {"type": "null"}}, "required": ["<|im_end|>"]}',
        'start: %json {"type": "string", "pattern": "^<\\\\|im_end\\\\|>$"}',
        'start: %json {"type": "string", "pattern": "^\\\\u003c\\\\x7cim_end\\\\|>$"}',
        'start: A\nA: %regex {"substring_chars": "x<|xim_endx|>"}',
    ],
)
def test_a_special_token_is_found_however_it_is_spelled(rules: str) -> None:
    assert may_spell_special_token(EngineGrammar(rules), ["<|other|>", "<|im_end|>"])


@pytest.mark.parametrize("token", ["<s>", "</s>", "<eos>", "[INST]", "<\uff5cend\u2581of\u2581sentence\uff5c>"])
@pytest.mark.parametrize("rules", ["start: {}", "start: {} start | /x/", 'start: %json {{"const": {}}}'])
def test_a_special_token_of_any_form_is_found(rules: str, token: str) -> None:
    assert may_spell_special_token(EngineGrammar(rules.format(json.dumps(token))), [token])


@pytest.mark.parametrize(
    "rules",
    [
        'start: "<" NAME ">"\nNAME: /[A-Za-z_|]+/',
        'start: "<|xim_end|>"',
        "start: A\nA: /<[|]im_\\w+[|]>/",
        'start: %json {"type": "object", "properties": {"im_end": {"type": "string"}}, "required": ["im_end"]}',
        'start: %json {"type": "string", "pattern": "^[^<>|]{1,20}$"}',
    ],
)
def test_texts_that_are_no_special_token_are_not_taken_for_one(rules: str) -> None:
    Matcher(EngineGrammar(rules))
    assert not may_spell_special_token(EngineGrammar(rules), ["<|im_end|>"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_grammars_of_programming_languages_spell_none(language: str) -> None:
    braid = json.loads((Path(__file__).parent / "data/braid/c11_grammar_full.json").read_text())["grammar"]
    naming = ConstraintIR(grammar=braid, regex_patterns=("^[a-z][a-zA-Z0-9]*$",))
    for constraint in (ConstraintIR(grammar=braid), naming):
        grammar = compile_constraints([constraint], language).grammar
        assert grammar is not None
        assert not may_spell_special_token(grammar, SPECIAL)


@pytest.mark.parametrize(
    "constraint",
    [
        ConstraintIR(regex_patterns=(r"^[a-z_][a-z0-9_]*$",)),
        ConstraintIR(regex_patterns=(r"async\s+fn", r"Result<.*>")),
        ConstraintIR(regex_patterns=(r"^\d{4}-\d{2}-\d{2}$",)),
        ConstraintIR(
            grammar='root ::= expr\nexpr ::= term (("+" | "-" | "<" | "<=" | ">" | "|") term)*\nterm ::= [a-z]+'
        ),
        ConstraintIR(
            json_schema=json.dumps(
                {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "pattern": r"^\s*[A-Za-z_]\w*$", "maxLength": 80},
                        "filename": {"type": "string", "format": "email"},
                        "kind": {"enum": ["think", "pad", "a<b", "INST", "eos", 3, None, True]},
                        "list": {"type": "array", "items": {"type": "number", "minimum": 0.5}, "maxItems": 9},
                    },
                    "required": ["name", "kind"],
                    "additionalProperties": False,
                }
            )
        ),
    ],
)
def test_ordinary_constraints_spell_none(constraint: ConstraintIR) -> None:
    grammar = compile_constraints([constraint]).grammar
    assert grammar is not None
    special = [token for token in SPECIAL if "INST" not in token]
    assert not may_spell_special_token(grammar, special)


def test_the_answer_costs_little_once_a_grammar_is_known() -> None:
    grammar = EngineGrammar("start: " + " | ".join(f'"<|{number:05}|>" /[a-z]+/' for number in range(500)))
    assert len(grammar.rules) > 10_000
    assert not may_spell_special_token(grammar, SPECIAL)
    assert timeit(lambda: may_spell_special_token(grammar, SPECIAL[:3]), number=100) / 100 < 0.0001


@pytest.mark.parametrize("token", [*SPECIAL, "<|of_no_model_that_is_known|>", "<s>", "</s>"])
def test_special_tokens_of_usual_models_are_known_without_asking_the_engine(token: str) -> None:
    for rules in (f"start: {json.dumps(token)}", f'start: "say " {json.dumps(token)} "."'):
        assert may_spell_usual_special_token(EngineGrammar(rules))


@pytest.mark.parametrize(
    "constraint",
    [
        ConstraintIR(regex_patterns=(r"^[a-z_][a-z0-9_]*$",)),
        ConstraintIR(regex_patterns=(r"async\s+fn", r"Result<.*>")),
        ConstraintIR(grammar='root ::= "a" (("<" | "|" | ">" | "<=") "a")*'),
        ConstraintIR(json_schema='{"type": "object", "properties": {"name": {"type": "string"}}}'),
    ],
)
def test_ordinary_constraints_are_sent_with_forced_tokens(constraint: ConstraintIR) -> None:
    grammar = compile_constraints([constraint]).grammar
    assert grammar is not None
    assert not may_spell_usual_special_token(grammar)
