"""Follows walks through grammars with the llguidance of the Python that runs this; benchmarks.llguidance_versions asks.

A line of standard input is `{"name", "grammar", "walk": [byte, ...], "masks": [text, ...]}`, the masks those that were
seen before each byte of the walk and behind the last. A line of output is `[name, what is different or null]`. It
imports nothing of libmaze, which need not be installed there.
"""

from __future__ import annotations

import json
import sys

from llguidance import LLMatcher, LLTokenizer


def mask_of(matcher: LLMatcher) -> str:
    """The bytes that may come next, and whether the text may end."""
    ends = "." if matcher.is_accepting() else ""
    return matcher.compute_bitmask()[:32].hex() + ends


def difference(case: dict[str, object], tokenizer: LLTokenizer) -> str | None:
    """What this llguidance does otherwise; None if nothing."""
    walk, masks = case["walk"], case["masks"]
    assert isinstance(walk, list)
    assert isinstance(masks, list)
    matcher = LLMatcher(tokenizer, str(case["grammar"]), log_level=0)
    if matcher.is_error():
        return f"refused: {matcher.get_error().splitlines()[0][:200]}"
    for place, mask in enumerate(masks):
        found = mask_of(matcher)
        if matcher.is_error():
            return f"failed after {place} bytes: {matcher.get_error().splitlines()[0][:200]}"
        if found != mask:
            return f"another mask after {place} bytes: {found} and not {mask}"
        if place < len(walk):
            matcher.try_consume_tokens([walk[place]])
    return None


def main() -> None:
    """Answer each line as it comes."""
    tokenizer = LLTokenizer("byte")
    for line in sys.stdin:
        case = json.loads(line)
        print(json.dumps([case["name"], difference(case, tokenizer)]), flush=True)


if __name__ == "__main__":
    main()
