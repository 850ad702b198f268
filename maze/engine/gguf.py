"""Reads from a GGUF file what llama.cpp's server does not tell: the texts of special tokens.

The format is described in ggml's docs/gguf.md: numbers are little-endian, a text has its length before it.
"""

from __future__ import annotations

import mmap
import re
import struct
from itertools import repeat
from pathlib import Path

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value, by the number of its type."""
_TEXT, _ARRAY = 8, 9
_SPECIAL = frozenset({2, 3, 4})
"""Of llama_token_type: unknown, control and user-defined tokens, which llama.cpp's tokenizer looks for first."""
_NORMAL = 1
_SPECIAL_BY_NAME = re.compile(
    r"<[|\uff5c].+[|\uff5c]>|[_\u2581]?<(EOT|PRE|SUF|MID|PAD|REPO)>|\[(EOT|EOS|PAD)\]|<(fim|end)[-_]\w+>"
    r"|</s>|<eos>|<reponame>"
)
"""Tokens that end an answer or have a part in filling gaps are special to llama.cpp whatever their type is."""


def special_tokens(path: Path) -> list[str]:
    """Texts of the special tokens of a model that llama.cpp has loaded."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        (count,) = struct.unpack_from("<Q", content, 16)
        at = 24
        tokens: list[bytes] = []
        kinds: tuple[int, ...] = ()
        for _ in range(count):
            name, at = _text(content, at)
            (kind,) = struct.unpack_from("<I", content, at)
            at += 4
            match name:
                case b"tokenizer.ggml.tokens":
                    tokens, at = _texts(content, at)
                case b"tokenizer.ggml.token_type":
                    _, length = struct.unpack_from("<IQ", content, at)
                    kinds = struct.unpack_from(f"<{length}i", content, at + 12)
                    at += 12 + 4 * length
                case _:
                    at = _after(content, kind, at)
    texts = (token.decode(errors="replace") for token in tokens)
    found = zip(texts, kinds or repeat(_NORMAL), strict=False)
    return [text for text, kind in found if kind in _SPECIAL or _SPECIAL_BY_NAME.fullmatch(text)]


def _text(content: mmap.mmap, at: int) -> tuple[bytes, int]:
    (length,) = struct.unpack_from("<Q", content, at)
    return content[at + 8 : at + 8 + length], at + 8 + length


def _texts(content: mmap.mmap, at: int) -> tuple[list[bytes], int]:
    _, length = struct.unpack_from("<IQ", content, at)
    at += 12
    texts = []
    for _ in range(length):
        text, at = _text(content, at)
        texts.append(text)
    return texts, at


def _after(content: mmap.mmap, kind: int, at: int) -> int:
    """The place after a value."""
    if kind == _TEXT:
        return _text(content, at)[1]
    if kind != _ARRAY:
        return at + _SIZES[kind]
    inner, length = struct.unpack_from("<IQ", content, at)
    at += 12
    if inner in _SIZES:
        return at + int(_SIZES[inner] * length)
    for _ in range(length):
        at = _after(content, inner, at)
    return at
