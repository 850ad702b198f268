from __future__ import annotations

import pytest

from maze.backends.vocabulary import check_vocabulary
from maze.compiled import TokenMask
from maze.errors import ContradictionError, InvalidConstraintError, UnsupportedConstraintError
from maze.grammar import compile_constraints
from maze.grammar.token_mask import MaskPart, combine_masks, is_vacuous, with_possible_ids
from maze.outcome import Handling
from maze.types import ConstraintIR, TokenMaskRules


def combined(*rules: TokenMaskRules) -> TokenMask | None:
    return combine_masks([MaskPart(each, f"constraints[{index}].token_masks") for index, each in enumerate(rules)])


def test_forbidden_ids_are_united_and_allowed_ids_are_intersected() -> None:
    mask = combined(
        TokenMaskRules(allowed=(1, 2, 3), forbidden=(9,)),
        TokenMaskRules(allowed=(2, 3, 4)),
        TokenMaskRules(forbidden=(3,)),
    )
    assert mask == TokenMask(allowed=frozenset({2}), forbidden=frozenset({3, 9}))


def test_null_or_empty_arrays_say_nothing() -> None:
    assert is_vacuous(TokenMaskRules(allowed=None))
    assert is_vacuous(TokenMaskRules(allowed=()))
    assert combined(TokenMaskRules(), TokenMaskRules(allowed=())) is None
    compiled = compile_constraints([ConstraintIR(token_masks=TokenMaskRules())])
    assert compiled.token_mask is None
    assert [part.handling for part in compiled.parts] == [Handling.VACUOUS]


def test_forbidding_alone_leaves_every_other_token_allowed() -> None:
    assert combined(TokenMaskRules(forbidden=(5,))) == TokenMask(allowed=None, forbidden=frozenset({5}))


def test_allowed_ids_without_one_in_common_contradict_each_other_by_name() -> None:
    with pytest.raises(ContradictionError, match=r"constraints\[0\].token_masks, constraints\[1\].token_masks"):
        combined(TokenMaskRules(allowed=(1,)), TokenMaskRules(allowed=(2,)))


def test_forbidding_every_allowed_id_is_a_contradiction_that_names_both_sides() -> None:
    with pytest.raises(ContradictionError, match=r"constraints\[0\].*allow.*forbidden by constraints\[1\]"):
        combined(TokenMaskRules(allowed=(1, 2)), TokenMaskRules(forbidden=(1, 2, 3)))


def test_an_id_that_is_no_32_bit_number_is_refused() -> None:
    with pytest.raises(InvalidConstraintError, match="4294967296 is no token id"):
        with_possible_ids(MaskPart(TokenMaskRules(forbidden=(2**32,)), "constraints[0].token_masks"))


def test_a_mask_is_enforced_and_is_part_of_the_digest() -> None:
    compiled = compile_constraints([ConstraintIR(token_masks=TokenMaskRules(forbidden=(7,)))])
    assert compiled.grammar is None
    assert compiled.token_mask == TokenMask(allowed=None, forbidden=frozenset({7}))
    assert [part.handling for part in compiled.parts] == [Handling.ENFORCED]
    assert compiled.digest != compile_constraints([]).digest


def test_ids_outside_the_vocabulary_are_named_and_never_forwarded() -> None:
    check_vocabulary(TokenMask(allowed=frozenset({0, 49151}), forbidden=frozenset({1})), 49152)
    with pytest.raises(
        UnsupportedConstraintError, match=r"533932320, 3440933014 are not in the vocabulary .* 49152 tokens"
    ):
        check_vocabulary(TokenMask(allowed=frozenset({3440933014, 5}), forbidden=frozenset({533932320})), 49152)
    with pytest.raises(UnsupportedConstraintError, match=r"100, 101, .* 109 and 90 more"):
        check_vocabulary(TokenMask(allowed=None, forbidden=frozenset(range(200))), 100)
