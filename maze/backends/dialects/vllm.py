"""vLLM."""

from __future__ import annotations

from typing import Any

from maze.backends.base import Request
from maze.backends.dialects.grammar_server import GrammarServerDialect
from maze.backends.vocabulary import check_vocabulary


class VllmDialect(GrammarServerDialect):
    """vLLM, started with `--structured-outputs-config '{"backend":"guidance"}'`."""

    name = "vllm"
    tells_tokens = True
    version_path = "/version"
    counted_fields = (*GrammarServerDialect.counted_fields, "add_generation_prompt")
    remedy = (
        'start it with --structured-outputs-config \'{"backend":"guidance"}\', as no other backend of vLLM takes '
        "these grammars"
    )

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The grammar goes into `structured_outputs`; `guided_grammar` of old versions is ignored by new ones."""
        if request.token_mask is not None and vocabulary is not None:
            check_vocabulary(request.token_mask, vocabulary)
        fields = self._common_fields(request, model)
        fields["request_id"] = request.request_id
        grammar = self._grammar(request)
        if grammar is not None:
            fields["structured_outputs"] = {"grammar": self._engine_text(grammar)}
        if request.token_mask is not None:
            fields["return_token_ids"] = True
        return fields

    def vocabulary_question(self, model: str | None) -> dict[str, Any] | None:
        """Ids beyond it are refused here alone; a grammar of them ends with an empty text."""
        return {"model": model, "prompt": "x", "max_tokens": 1, "logit_bias": {str(2**31 - 1): 0}}
