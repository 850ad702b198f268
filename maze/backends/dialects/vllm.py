"""vLLM."""

from __future__ import annotations

from typing import Any

from maze.backends.base import Request
from maze.backends.dialects.grammar_server import GrammarServerDialect


class VllmDialect(GrammarServerDialect):
    """vLLM, started with `--structured-outputs-config '{"backend":"guidance"}'`."""

    name = "vllm"
    backend = "vllm"
    tells_tokens = True
    version_path = "/version"

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The grammar goes into `structured_outputs`; `guided_grammar` of old versions is ignored by new ones."""
        del vocabulary  # vLLM does not tell it, and answers 400 to ids beyond it
        fields = self._common_fields(request, model)
        fields["request_id"] = request.request_id
        grammar = self._grammar(request)
        if grammar is not None:
            fields["structured_outputs"] = {"grammar": self._engine_text(grammar)}
        if request.token_mask is not None:
            fields["return_token_ids"] = True
        return fields
