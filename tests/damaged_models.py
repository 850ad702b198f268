"""GGUF files with one thing wrong in each: headers, vocabularies, chat templates, cut off, random bytes.

They are made from the model that `make` fetches, without its weights: what is wrong is met before they are used.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

MAGIC = b"GGUF"
UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, UINT64 = 4, 5, 6, 7, 8, 9, 10
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, UINT32: 4, INT32: 4, FLOAT32: 4, BOOL: 1, UINT64: 8, 11: 8, 12: 8}
_ALIGNMENT = 32


def text(value: str | bytes) -> bytes:
    """A string as GGUF has it."""
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(raw)) + raw


def array(kind: int, items: list[bytes]) -> bytes:
    """An array as GGUF has it."""
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)


@dataclass(frozen=True)
class Model:
    """A GGUF file: its metadata by name, then what is said of its tensors, then their bytes."""

    metadata: dict[str, tuple[int, bytes]]
    tensors: bytes
    tensor_count: int
    data_bytes: int
    version: int = 3

    @classmethod
    def read(cls, path: Path) -> Model:
        with path.open("rb") as file:
            head = file.read(16 * 2**20)
        version, tensor_count, count = struct.unpack_from("<IQQ", head, 4)
        at = 24
        metadata = {}

        def end_of(kind: int, at: int) -> int:
            if kind == STRING:
                return at + 8 + int(struct.unpack_from("<Q", head, at)[0])
            if kind != ARRAY:
                return at + _SIZES[kind]
            inner, length = struct.unpack_from("<IQ", head, at)
            at += 12
            for _ in range(length):
                at = end_of(inner, at)
            return at

        for _ in range(count):
            end = end_of(STRING, at)
            name = head[at + 8 : end].decode()
            kind = struct.unpack_from("<I", head, end)[0]
            at = end_of(kind, end + 4)
            metadata[name] = (kind, head[end + 4 : at])
        start = at
        for _ in range(tensor_count):
            at = end_of(STRING, at)
            dimensions = struct.unpack_from("<I", head, at)[0]
            at += 4 + 8 * dimensions + 4 + 8
        data = at + -at % _ALIGNMENT
        return cls(metadata, head[start:at], tensor_count, path.stat().st_size - data, version)

    def head(self) -> bytes:
        """All but the bytes of the tensors."""
        made = MAGIC + struct.pack("<IQQ", self.version, self.tensor_count, len(self.metadata))
        for name, (kind, value) in self.metadata.items():
            made += text(name) + struct.pack("<I", kind) + value
        made += self.tensors
        return made + bytes(-len(made) % _ALIGNMENT)

    def write(self, path: Path) -> None:
        """The weights are a hole in the file, zeros."""
        head = self.head()
        with path.open("wb") as file:
            file.write(head)
            file.truncate(len(head) + self.data_bytes)

    def with_value(self, name: str, kind: int, value: bytes) -> Model:
        return replace(self, metadata={**self.metadata, name: (kind, value)})

    def without(self, name: str) -> Model:
        return replace(self, metadata={key: value for key, value in self.metadata.items() if key != name})

    def texts(self, name: str) -> list[bytes]:
        """The items of an array of strings."""
        _, raw = self.metadata[name]
        count = struct.unpack_from("<Q", raw, 4)[0]
        at, found = 12, []
        for _ in range(count):
            length = struct.unpack_from("<Q", raw, at)[0]
            found.append(raw[at + 8 : at + 8 + length])
            at += 8 + length
        return found

    def with_texts(self, name: str, texts: list[bytes]) -> Model:
        return self.with_value(name, ARRAY, array(STRING, [text(item) for item in texts]))


ENDLESS_TEMPLATES = {
    "endless loop": "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "recursive macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "huge text": "{% for a in range(1000) %}{{ 'x' * 100000 }}{% endfor %}",
}
BROKEN_TEMPLATES = {
    "unclosed": "{% for m in messages %}{{ m.content }}",
    "unclosed tag": "{{ messages[0].content ",
    "unknown filter": "{{ messages | no_such_filter }}",
    "raises": "{{ raise_exception('no') }}",
    "no text": "",
    "without the prompt": "hello",
    "undefined": "{{ nothing.at.all }}",
    "division by zero": "{{ 1 / 0 }}",
    "not utf-8": "\udcff",
    "control characters": "\x00\x01{{ messages[0].content }}",
    "deep": "{% if true %}" * 3000 + "x" + "{% endif %}" * 3000,
    "many parentheses": "{{ " + "(" * 20000 + "1" + ")" * 20000 + " }}",
}
TOKENS = "tokenizer.ggml.tokens"


def damaged_models(source: Path) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Names of what is wrong, and what writes such a file."""
    model = Model.read(source)
    head = model.head()

    def number(name: str, value: int) -> Callable[[Path], None]:
        kind = model.metadata[name][0] if name in model.metadata else UINT32
        return model.with_value(name, kind, struct.pack("<I", value & 0xFFFFFFFF)).write

    for name in (
        "context_length",
        "embedding_length",
        "block_count",
        "feed_forward_length",
        "attention.head_count",
        "attention.head_count_kv",
        "rope.dimension_count",
        "vocab_size",
    ):
        for value in (0, 1, 0xFFFFFFFF):
            yield f"llama.{name} = {value}", number(f"llama.{name}", value)
    for name in ("general.architecture", "llama.block_count", "tokenizer.ggml.model", TOKENS, "tokenizer.ggml.merges"):
        yield f"no {name}", model.without(name).write
    for name in ("tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.unknown_token_id"):
        for value in (49152, 0xFFFFFFFF):
            yield f"{name} = {value}", number(name, value)
    for tokenizer in ("none", "spm", "llama", "bert", "no such tokenizer"):
        yield f"tokenizer {tokenizer}", model.with_value("tokenizer.ggml.model", STRING, text(tokenizer)).write
    yield "architecture gpt-none", model.with_value("general.architecture", STRING, text("gpt-none")).write
    yield "architecture bert", model.with_value("general.architecture", STRING, text("bert")).write

    tokens = model.texts(TOKENS)
    vocabularies = {
        "equal tokens": [b"same"] * len(tokens),
        "two equal tokens": [*tokens[:-1], tokens[300]],
        "empty tokens": [b""] * len(tokens),
        "tokens that are not UTF-8": [b"\xff\xfe" + token for token in tokens],
        "one token that is not UTF-8": [*tokens[:-1], b"\xc3"],
        "no tokens": [],
        "one token": tokens[:1],
        "half of the tokens": tokens[: len(tokens) // 2],
        "twice the tokens": tokens + [token + b"." for token in tokens],
        "tokens of 10 kB": [*tokens[:-1], b"x" * 10_000],
        "tokens with NUL": [token + b"\0" for token in tokens],
    }
    for name, items in vocabularies.items():
        yield name, model.with_texts(TOKENS, items).write
    yield "no merge", model.with_texts("tokenizer.ggml.merges", []).write
    yield "merges without a blank", model.with_texts("tokenizer.ggml.merges", [b"ab"] * 100).write
    yield "token types of another kind", model.with_value("tokenizer.ggml.token_type", STRING, text("x")).write
    yield "tokens of another kind", model.with_value(TOKENS, UINT32, struct.pack("<I", 1)).write

    for name, template in {**ENDLESS_TEMPLATES, **BROKEN_TEMPLATES}.items():
        raw = template.encode(errors="surrogateescape")
        yield f"template: {name}", model.with_value("tokenizer.chat_template", STRING, text(raw)).write

    for size in (0, 3, 4, 8, 23, 24, 1000, len(head) // 2, len(head) - 1, len(head), len(head) + model.data_bytes // 2):

        def cut_off(path: Path, size: int = size) -> None:
            model.write(path)
            with path.open("r+b") as file:
                file.truncate(size)

        yield f"cut off after {size} bytes", cut_off
    for version in (0, 1, 2, 4, 0xFFFFFFFF):
        yield f"version {version}", replace(model, version=version).write
    for count in (0, 1, 2**63):
        yield f"{count} tensors", replace(model, tensor_count=count).write
    for seed in range(6):

        def noise(path: Path, seed: int = seed) -> None:
            path.write_bytes(MAGIC + struct.pack("<I", 3) + random.Random(seed).randbytes(200_000))

        yield f"random bytes {seed}", noise
    for seed in range(8):

        def flipped(path: Path, seed: int = seed) -> None:
            chance = random.Random(seed)
            spoilt = bytearray(head)
            for _ in range(20):
                spoilt[chance.randrange(24, len(head))] ^= 1 << chance.randrange(8)
            path.write_bytes(spoilt)
            with path.open("r+b") as file:
                file.truncate(len(head) + model.data_bytes)

        yield f"flipped bits {seed}", flipped
