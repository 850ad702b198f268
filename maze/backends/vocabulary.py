"""The one check that every engine needs before it takes a token mask: its ids must be in the vocabulary."""

from __future__ import annotations

from maze.compiled import TokenMask
from maze.errors import UnsupportedConstraintError

MAX_NAMED_IDS = 10


def check_vocabulary(mask: TokenMask, vocabulary_size: int) -> None:
    """Raise UnsupportedConstraintError, naming the ids, if the mask speaks of tokens that the engine does not have.

    Engines answer such ids with 400 or 500; Braid's ids are 32-bit hashes of words, which no vocabulary has.
    """
    named = mask.forbidden if mask.allowed is None else mask.forbidden | mask.allowed
    strangers = sorted(token for token in named if not 0 <= token < vocabulary_size)
    if not strangers:
        return
    shown = ", ".join(map(str, strangers[:MAX_NAMED_IDS]))
    more = f" and {len(strangers) - MAX_NAMED_IDS} more" if len(strangers) > MAX_NAMED_IDS else ""
    raise UnsupportedConstraintError(
        f"token_masks: the ids {shown}{more} are not in the vocabulary of the engine, which has {vocabulary_size} "
        "tokens; give ids of this model's tokenizer, or leave the token mask out"
    )
