"""SGLang."""

from __future__ import annotations

from typing import Any

from maze.backends.base import Request
from maze.backends.dialects.grammar_server import GrammarServerDialect
from maze.errors import UnsupportedConstraintError
from maze.options import PromptForm


class SglangDialect(GrammarServerDialect):
    """SGLang."""

    name = "sglang"
    ready_path = "/ready"
    tells_tokens = True
    tells_tokens_in_chats = False
    version_path = "/server_info"
    remedy = "start it with --grammar-backend llguidance"

    def fields(self, request: Request, model: str | None, vocabulary: int | None) -> dict[str, Any]:
        """The grammar goes into `ebnf`."""
        del vocabulary
        fields = self._common_fields(request, model)
        grammar = self._grammar(request)
        if grammar is not None:
            fields["ebnf"] = self._engine_text(grammar)
        if request.token_mask is not None:
            if request.prompt.form is PromptForm.CHAT:
                raise UnsupportedConstraintError(
                    "token_masks cannot be checked in chats of this SGLang, as it neither tells their token ids nor "
                    "applies the chat template at /tokenize; use the raw form of the prompt (MAZE_PROMPT=raw)"
                )
            fields["return_token_ids"] = True
        return fields
