"""Token masks: many rules to one mask. Ids are numbers of an engine's vocabulary, which is not known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from maze.compiled import TokenMask
from maze.errors import ContradictionError, InvalidConstraintError, UnsupportedConstraintError
from maze.types import TokenMaskRules

MAX_ID = 2**32 - 1
"""Highest number that ConstraintIRFFI can hold."""
MAX_TOKEN_ID = 2**24 - 1
"""Highest id that can be a token's: the largest vocabularies have some 300,000, and Braid's ids, which are hashes of
words, lie beyond."""


@dataclass(frozen=True, slots=True)
class MaskPart:
    """The rules of one constraint and where the caller finds them."""

    rules: TokenMaskRules
    path: str


def is_vacuous(rules: TokenMaskRules) -> bool:
    """Whether the rules say nothing: Braid sends both arrays null where it found no token to speak of."""
    return not rules.allowed and not rules.forbidden


def with_possible_ids(part: MaskPart) -> MaskPart:
    """The same. Raises UnsupportedConstraintError for ids that no model has, InvalidConstraintError beyond 32 bits."""
    ids = {*(part.rules.allowed or ()), *part.rules.forbidden}
    for token in ids:
        if not 0 <= token <= MAX_ID:
            raise InvalidConstraintError(f"{part.path}: {token} is no token id; ids are 0 to {MAX_ID}")
    if beyond := sorted(token for token in ids if token > MAX_TOKEN_ID):
        shown = ", ".join(map(str, beyond[:10])) + (f" and {len(beyond) - 10} more" if len(beyond) > 10 else "")
        raise UnsupportedConstraintError(
            f"{part.path}: {shown} cannot be token ids of any model, whose ids end long before {MAX_TOKEN_ID}; they "
            "may be hashes of words, as Braid makes them"
        )
    return part


def combine_masks(parts: Sequence[MaskPart]) -> TokenMask | None:
    """One mask that obeys all rules: forbidden are united, allowed are intersected. None if no rule says anything.

    Raises ContradictionError if no token is left, naming the rules that leave none.
    """
    allowing = [part for part in parts if part.rules.allowed]
    forbidding = [part for part in parts if part.rules.forbidden]
    if not allowing and not forbidding:
        return None

    forbidden = frozenset(token for part in forbidding for token in part.rules.forbidden)
    if not allowing:
        return TokenMask(allowed=None, forbidden=forbidden)
    allowed = frozenset.intersection(*(frozenset(part.rules.allowed or ()) for part in allowing))
    if not allowed:
        raise ContradictionError(
            f"no token is allowed by all of {_paths(allowing)}: their allowed_tokens have no id in common; "
            "drop one of them"
        ).between(*((part.path,) for part in allowing))
    if not allowed - forbidden:
        raise ContradictionError(
            f"every token that {_paths(allowing)} allow is forbidden by {_paths(forbidding)}; drop one of them"
        ).between(*((part.path,) for part in (*allowing, *forbidding)))
    return TokenMask(allowed=allowed - forbidden, forbidden=forbidden)


def _paths(parts: Sequence[MaskPart]) -> str:
    paths = sorted({part.path for part in parts})
    shown = ", ".join(paths[:10])
    return shown if len(paths) <= 10 else f"{shown} and {len(paths) - 10} more"
