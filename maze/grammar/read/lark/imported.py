"""What `%import` finds: the terminals of the grammars that come with Lark, in words of our own."""

from __future__ import annotations

import re
from collections.abc import Mapping

GRAMMARS: Mapping[str, str] = {
    "common": r"""
DIGIT: "0".."9"
HEXDIGIT: DIGIT | "a".."f" | "A".."F"
INT: DIGIT+
SIGNED_INT: ("+" | "-")? INT
DECIMAL: INT "." INT? | "." INT
_EXP: "e"i SIGNED_INT
FLOAT: INT _EXP | DECIMAL _EXP?
SIGNED_FLOAT: ("+" | "-")? FLOAT
NUMBER: FLOAT | INT
SIGNED_NUMBER: ("+" | "-")? NUMBER

_STRING_INNER: /.*?/
_STRING_ESC_INNER: _STRING_INNER /(?<!\\)(\\\\)*?/
ESCAPED_STRING: /"([^"\\\n]|\\.)*"/

LCASE_LETTER: "a".."z"
UCASE_LETTER: "A".."Z"
LETTER: LCASE_LETTER | UCASE_LETTER
WORD: LETTER+
CNAME: ("_" | LETTER) ("_" | LETTER | DIGIT)*

WS_INLINE: /[ \t]+/
WS: /[ \t\f\r\n]+/
CR: "\r"
LF: "\n"
NEWLINE: (CR? LF)+

SH_COMMENT: /#[^\n]*/
CPP_COMMENT: /\/\/[^\n]*/
C_COMMENT: /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//
SQL_COMMENT: /--[^\n]*/
""",
    "python": r"""
name: NAME | "match" | "case"
NAME: /[^\W\d]\w*/
COMMENT: /#[^\n]*/
_NEWLINE: (/\r?\n[\t ]*/ | COMMENT)+

string: STRING | LONG_STRING
STRING: /([ubf]?r?|r[ubf])("([^"\\\n]|\\.)*"|'([^'\\\n]|\\.)*')/i
LONG_STRING: /([ubf]?r?|r[ubf])(\"\"\"("{0,2}([^"\\]|\\.))*\"\"\"|'''('{0,2}([^'\\]|\\.))*''')/is

number: DEC_NUMBER | HEX_NUMBER | BIN_NUMBER | OCT_NUMBER | FLOAT_NUMBER | IMAG_NUMBER
_SPECIAL_DEC: /[0-9](_?[0-9])*/
DEC_NUMBER: /[1-9](_?[0-9])*|0(_?0)*/
HEX_NUMBER: /0[xX](_?[0-9a-fA-F])+/
OCT_NUMBER: /0[oO](_?[0-7])+/
BIN_NUMBER: /0[bB](_?[01])+/
_EXP: /[eE][+\-]?/ _SPECIAL_DEC
DECIMAL: "." _SPECIAL_DEC | _SPECIAL_DEC "." _SPECIAL_DEC?
FLOAT_NUMBER: _SPECIAL_DEC _EXP | DECIMAL _EXP?
IMAG_NUMBER: (_SPECIAL_DEC | FLOAT_NUMBER) "j"i
""",
    "lark": r"""
OP: /[+*]|[?]/
RULE: /!?[_?]?[a-z][_a-z0-9]*/
TOKEN: /_?[A-Z][_A-Z0-9]*/
STRING: /"([^"\\\n]|\\.)*"i?/
REGEXP: /\/([^\/\\]|\\[\\\/])([^\/\\]|\\.)*\/[imslux]*/
NUMBER: /[+\-]?[0-9]+/
_NL: /(\r?\n)+\s*/
WS_INLINE: /[ \t]+/
COMMENT: /\s*(\/\/|#)[^\n]*/
""",
    "unicode": r"""
WS_INLINE: /[ \t\xa0]+/
WS: /[ \t\xa0\f\r\n]+/
""",
}

NAMES_OF_COMMON = frozenset(re.findall(r"^(\w+):", GRAMMARS["common"], re.MULTILINE))
"""The terminals of `common`."""
