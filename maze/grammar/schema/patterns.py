"""A schema's `pattern`, which is ECMAScript's, as llguidance reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WHITE_SPACE = " \t\n\x0b\x0c\r\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
"""What ECMAScript takes for white space, as members of a class; llguidance's own `\\s` has other members."""
_ESCAPE_OR_CHARACTER = re.compile(r"\\[pP]\{[^}]*\}|\\.|.", re.DOTALL)


def pattern_for_llguidance(pattern: str) -> tuple[str | None, bool]:
    """The pattern with ECMAScript's white space spelled out, and whether llguidance enforces it to the letter.

    It does not where a negated class leaves out the quote or the backslash: `^[^"]+$` takes an escaped quote. There is
    no pattern for anchors inside a group, which llguidance before 1.9 refuses.
    """
    groups = 0
    result: list[str] = []
    members: list[str] | None = None
    is_exact = True
    for piece in _ESCAPE_OR_CHARACTER.findall(pattern):
        if members is None:
            groups += {"(": 1, ")": -1}.get(piece, 0)
            if piece in ("^", "$") and groups:
                return None, False
            if piece == "[":
                members = []
            elif piece.startswith("\\P"):
                is_exact = False
            result.append({"\\s": f"[{_WHITE_SPACE}]", "\\S": f"[^{_WHITE_SPACE}]"}.get(piece, piece))
            continue
        if piece == "]" and members:
            is_negated = members[0] == "^"
            if "\\S" in members or (is_negated and _may_leave_out_quotes(members[1:])):
                is_exact = False
            members = None
        else:
            members.append(piece)
        result.append(_WHITE_SPACE if piece == "\\s" else piece)
    return "".join(result), is_exact


def _may_leave_out_quotes(members: Sequence[str]) -> bool:
    """Whether a class may hold the quote or the backslash; a range that is not of letters or digits counts as one."""
    for index, member in enumerate(members):
        if member in ('"', "\\\\", "\\D", "\\S", "\\W") or member[:2] in ("\\p", "\\P", "\\x", "\\u"):
            return True
        if member == "-" and 0 < index < len(members) - 1:
            first, last = members[index - 1], members[index + 1]
            if not (
                first.isalnum()
                and last.isalnum()
                and first.isupper() == last.isupper()
                and first.isdigit() == last.isdigit()
            ):
                return True
    return False
