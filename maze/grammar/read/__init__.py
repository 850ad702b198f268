"""Readers: the text of a grammar, in any form that callers send, to the one grammar value."""
