"""SGLang."""

from __future__ import annotations

from typing import Any

from maze.backends.base import Request
from maze.backends.dialects.grammar_server import GrammarServerDialect


class SglangDialect(GrammarServerDialect):
    """SGLang."""

    name = "sglang"
    ready_path = "/ready"
    tells_tokens = False
    version_path = "/server_info"
    remedy = "start it with --grammar-backend llguidance"

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The grammar goes into `ebnf`."""
        del vocabulary
        fields = self._common_fields(request, model)
        grammar = self._grammar(request)
        if grammar is not None:
            fields["ebnf"] = self._engine_text(grammar)
        return fields
