"""Servers of OpenAI's protocol that enforce a grammar: what vLLM and SGLang have in common."""

from __future__ import annotations

from typing import Any

from maze.backends.base import Request
from maze.backends.dialects.base import AnswerReader, Dialect, mask_grammar
from maze.backends.dialects.chunks import ChatReader, CompletionReader, listed_models
from maze.backends.thoughts_in_text import END_OF_THOUGHT
from maze.compiled import EngineGrammar
from maze.errors import UnsupportedConstraintError
from maze.grammar.llguidance import engine_text
from maze.grammar.special_tokens import may_spell_usual_special_token
from maze.options import PromptForm


class GrammarServerDialect(Dialect):
    """`POST /v1/chat/completions`, and `POST /v1/completions` for a prompt that is to be completed as it stands."""

    generate_path = "/v1/completions"
    chat_path = "/v1/chat/completions"
    count_path = "/tokenize"
    text_path = "/detokenize"
    needs_model = True
    can_go_on = True
    may_think_in_text = True
    counted_fields: tuple[str, ...] = ("prompt", "messages", "continue_final_message", "chat_template_kwargs")
    """Of a request, what `count_path` takes."""
    tells_tokens: bool
    """Whether it tells the ids of the generated tokens, so that a mask can be checked."""

    def _common_fields(self, request: Request, model: str | None) -> dict[str, Any]:
        # Else a token that ends a thought is no text, which then would not end.
        shown = {"skip_special_tokens": False} if request.stop == (END_OF_THOUGHT,) else {}
        return {
            "model": model,
            **self._asked(request),
            "max_tokens": request.max_tokens + request.reasoning_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k or -1,
            # These two would otherwise come from the generation_config.json of the model.
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "seed": request.seed,
            "stop": request.stop,
            "stream": True,
            "stream_options": {"include_usage": True},
            **shown,
        }

    def _asked(self, request: Request) -> dict[str, Any]:
        """The prompt or the conversation, and what goes with it."""
        if request.prompt.form is PromptForm.RAW:
            logprobs = {} if request.top_logprobs is None else {"logprobs": request.top_logprobs}
            return {"prompt": request.prompt.raw() + request.continue_from, **logprobs}
        messages = request.prompt.conversation()
        fields: dict[str, Any] = {
            "messages": messages,
            "chat_template_kwargs": {"enable_thinking": request.reasoning_tokens > 0},
        }
        if request.continue_from:
            messages.append({"role": "assistant", "content": request.continue_from})
            fields |= {"add_generation_prompt": False, "continue_final_message": True}
        if request.top_logprobs is not None:
            fields |= {"logprobs": True, "top_logprobs": request.top_logprobs}
        return fields

    def _grammar(self, request: Request) -> EngineGrammar | None:
        mask = request.token_mask
        if mask is None:
            return request.grammar
        if request.grammar is not None:
            raise UnsupportedConstraintError(
                f"token_masks cannot be enforced together with a grammar by {self.name}; use one of the two, "
                "or the embedded engine"
            )
        if mask.allowed is None:
            raise UnsupportedConstraintError(
                f"forbidden tokens alone cannot be enforced by {self.name}; list the allowed ones, "
                "or use the embedded engine"
            )
        return mask_grammar(mask.allowed - mask.forbidden)

    def counting_fields(self, request: Request, model: str | None) -> dict[str, Any]:
        asked = self._asked(request)
        return {"model": model, **{name: asked[name] for name in self.counted_fields if name in asked}}

    @staticmethod
    def _engine_text(grammar: EngineGrammar) -> str:
        """The grammar for a server that does not tell which special tokens its model has."""
        return engine_text(grammar, forced_tokens=not may_spell_usual_special_token(grammar))

    def reader(self, request: Request) -> AnswerReader:
        kind = CompletionReader if request.prompt.form is PromptForm.RAW else ChatReader
        return kind(request, tells_tokens=self.tells_tokens)

    def model_names(self, answer: object) -> tuple[str, ...]:
        return listed_models(answer)
