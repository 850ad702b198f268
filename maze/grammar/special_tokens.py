"""Whether a grammar may force text that a tokenizer takes for a special token.

Where a grammar leaves one text only, llguidance lets the engine tokenise it and forces these tokens, which makes
decoding faster. llama.cpp then takes `<|im_end|>` in it for the special token, and the grammar rejects that; vLLM
answers with an error. So a grammar that may force such a text is sent with the option `no_forcing` in its header. Of
servers that do not tell which special tokens their model has, those of the usual models are guarded against.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from maze.compiled import EngineGrammar

_ESCAPE = re.compile(
    r"\\(?:[xu]\{(?P<braces>[0-9A-Fa-f]{1,6})\}|x(?P<x>[0-9A-Fa-f]{2})|u(?P<u>[0-9A-Fa-f]{4})|U(?P<U>[0-9A-Fa-f]{8})"
    r"|[pP]\{[^}]*\}|[^\W_]|(?P<itself>.))",
    re.DOTALL,
)
_GROUP_FLAGS = re.compile(r"\(\?[A-Za-z-]+[:)]")
_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"\w+|\W")


_OF_USUAL_MODELS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|eot_id|>", "<|eom_id|>", "<|begin_of_text|>"),
    *("<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>", "<|system|>", "<|user|>"),
    *("<|assistant|>", "<|end|>", "<|eot|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>"),
    *("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>"),
    *("<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<mask>", "[INST]", "[/INST]", "[TOOL_CALLS]"),
    *("<start_of_turn>", "<end_of_turn>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>"),
    *("<repo_name>", "<file_sep>", "<filename>", "<gh_stars>", "<issue_start>", "<jupyter_code>", "<empty_output>"),
    *("<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<\uff5cUser\uff5c>"),
)
"""Of SmolLM2, Llama, Qwen, Phi, gpt-oss, StarCoder, Gemma, Mistral and DeepSeek."""
_SHAPE = re.compile(r"<[|\uff5c][^<>\s]{1,60}[|\uff5c]>")
"""What nothing but a special token is written like."""


def may_spell_usual_special_token(grammar: EngineGrammar) -> bool:
    """may_spell_special_token() for an engine whose model is not known."""
    return _spells_one(grammar.rules, frozenset(_OF_USUAL_MODELS)) or _has_shape(grammar.rules)


def may_spell_special_token(grammar: EngineGrammar, special: Iterable[str]) -> bool:
    """Whether forced text of the grammar may hold one of these texts. True also where that is not sure.

    Any words of the grammar's text may stand in a row, and between any of its other characters, wherever they come
    from. Only classes of several characters are taken to force none, also where an intersection leaves one of them.
    """
    return _spells_one(grammar.rules, frozenset(special))


@lru_cache(maxsize=64)
def _spells_one(rules: str, special: frozenset[str]) -> bool:
    plain = _GROUP_FLAGS.sub(" ", _plain(rules)).casefold()
    words, characters = frozenset(_WORD.findall(plain)), frozenset(plain)
    # `%regex` takes any part of its texts.
    return any(_is_spelled(token.casefold(), words, characters, whole="%regex" not in rules) for token in special)


@lru_cache(maxsize=64)
def _has_shape(rules: str) -> bool:
    return _SHAPE.search(_plain(rules)) is not None


def _plain(rules: str) -> str:
    """The text of a grammar without escapes; a regular expression within JSON is escaped twice."""
    return _ESCAPE.sub(_unescaped, _ESCAPE.sub(_unescaped, rules))


def _is_spelled(token: str, words: frozenset[str], characters: frozenset[str], *, whole: bool) -> bool:
    pieces = _PIECE.findall(token)
    if not all(piece in characters for piece in pieces if not _WORD.match(piece)):
        return False
    last = len(pieces) - 1
    return not whole or all(
        _is_made_of(words, piece, whole_begin=at > 0, whole_end=at < last)
        for at, piece in enumerate(pieces)
        if _WORD.match(piece)
    )


def _is_made_of(words: frozenset[str], text: str, *, whole_begin: bool, whole_end: bool) -> bool:
    """Whether words in a row make `text`; the first may begin before it, the last end after it, unless it is whole."""
    reached = [0]
    if not whole_begin:
        reached += [at for at in range(1, len(text) + 1) if any(word.endswith(text[:at]) for word in words)]
        if not whole_end and any(text in word for word in words):
            return True
    for at in reached:
        if at == len(text) or (not whole_end and any(word.startswith(text[at:]) for word in words)):
            return True
        following = (at + len(word) for word in words if text.startswith(word, at))
        reached += [further for further in following if further not in reached]
    return False


def _unescaped(escape: re.Match[str]) -> str:
    digits = escape["braces"] or escape["x"] or escape["u"] or escape["U"]
    if digits is None:
        return escape["itself"] or " "  # classes such as `\\s`, control characters
    return chr(min(int(digits, 16), 0x10FFFF))
