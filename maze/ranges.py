"""Which numbers and texts an option may be, each said once: "temperature is 3; it must be a number between 0 and 2"."""

from __future__ import annotations

from dataclasses import dataclass

MAX_STOP_TEXTS = 4
"""vLLM refuses more."""
MAX_STOP_TEXT_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers of one kind; shows itself as "a whole number between 1 and 100"."""

    kind: type[int | float]
    """float takes whole numbers as well; bool is no number."""
    lowest: float
    highest: float
    without_lowest: bool = False

    def problem(self, value: object) -> str | None:
        """What is wrong with `value`, to stand after its name; None if nothing is."""
        if not isinstance(value, int if self.kind is int else int | float) or isinstance(value, bool):
            return f"is of type {type(value).__name__}; it must be {self}"
        if self.lowest <= value <= self.highest and not (self.without_lowest and value == self.lowest):  # False for NaN
            return None
        # Python refuses to write out numbers of thousands of digits.
        shown = f"about 2**{value.bit_length()}" if isinstance(value, int) and value.bit_length() > 100 else value
        return f"is {shown}; it must be {self}"

    def __str__(self) -> str:
        noun = "a whole number" if self.kind is int else "a number"
        if self.without_lowest:
            return f"{noun} over {self.lowest} and at most {self.highest}"
        return f"{noun} between {self.lowest} and {self.highest}"


_UINT32 = 2**32 - 1
"""The most that the fields of include/maze.h hold."""

MAX_TOKENS = Range(int, 1, _UINT32)
TIMEOUT_MS = Range(int, 1, _UINT32)
TIMEOUT_SECS = Range(float, 0, _UINT32, without_lowest=True)
TEMPERATURE = Range(float, 0, 2)
TOP_P = Range(float, 0, 1, without_lowest=True)
TOP_K = Range(int, 0, 2**31 - 1)
"""Engines keep it in a signed number."""
SEED = Range(int, 0, _UINT32)
REASONING_TOKENS = Range(int, 0, 2**31 - 1)
"""Below 0 the field of include/maze.h is not set."""
MAX_ATTEMPTS = Range(int, 1, 100)
TOP_LOGPROBS = Range(int, 0, 20)
"""The most that OpenAI's chat endpoint gives."""
LOCAL_THREADS = Range(int, 1, 512)
"""GGML_MAX_N_THREADS of llama.cpp."""
CACHE_SIZE_LIMIT = Range(int, 1, _UINT32)
PRIORITY = Range(int, 0, _UINT32)
