"""Several endpoints of one service: what is known of each, whose turn it is, and who rests after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from typing import Any

from maze.backends.dialects.base import Dialect
from maze.backends.dialects.words import lists_more
from maze.backends.semaphore import Semaphore

FIRST_REST_SECS = 1.0
"""How long an endpoint rests after its first failure; each further one doubles it."""
LONGEST_REST_SECS = 60.0


class Endpoint:
    """One base URL, and what is known of the service behind it."""

    def __init__(self, url: str, dialect: Dialect | None, *, is_proven: bool = False) -> None:
        self.url = url
        self.is_proven = is_proven
        """Whether the service was seen to obey grammars."""
        self.has_answered = False
        """Whether a generation has succeeded there."""
        self.dialect = dialect
        """None until the service was asked."""
        self.described = dialect is not None and not dialect.describes_models and dialect.version_path is None
        """Whether models, vocabulary and version were asked for, or are not needed."""
        self.models: tuple[str, ...] = ()
        self.lists_more = False
        """Whether it has more models than it listed."""
        self.vocabulary: int | None = None
        """Size of the vocabulary of the model, where the service tells it."""
        self.knows_no_vocabulary = False
        """Whether it was asked for that in vain."""
        self.context: int | None = None
        """Tokens of prompt and answer together, where the service tells it."""
        self.has_template = True
        """Whether the model has a chat template, as far as that is known."""
        self.lacks_system: set[str | None] = set()
        """Models whose template knows no system turn."""
        self.wants_alternation: set[str | None] = set()
        """Models whose template takes no two turns of one role in a row."""
        self.thinks_unasked: set[str | None] = set()
        """Models that think in chats also where they are asked not to."""
        self.tokens_before: dict[str | None, int | None] = {}
        """By model, how many tokens the service puts before each prompt; None where it does not tell."""
        self.ends_thoughts: set[str | None] = set()
        """Models whose thoughts a single token ends."""
        self.announces_thoughts: set[str | None] = set()
        """Models whose thoughts are known not to begin a text without a word."""
        self.version: str | None = None
        self.whole_until = 0.0
        """Until when an older Maze service, which had no /generate/stream, is asked for whole answers."""
        self.asking = Semaphore(1)
        """Held by the one call that asks the service what it is."""
        self.failures = 0
        """How often in a row it failed."""
        self.rest_secs = 0.0
        """How long it rests after the last of them, and until when."""
        self.rests_until = 0.0

    def take_models(self, dialect: Dialect, answer: object) -> None:
        """Take the models that an answer lists. Raises MalformedError."""
        self.models = dialect.model_names(answer)
        self.lists_more = lists_more(answer)

    def facts(self) -> dict[str, Any]:
        """What is known of it, for the provenance."""
        known = {"endpoint": self.url, "dialect": self.dialect and self.dialect.name, "version": self.version}
        return {name: value for name, value in known.items() if value is not None}


class Endpoints:
    """Picks an endpoint for each attempt. Safe for use from many threads."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self.all = tuple(endpoints)
        self._lock = threading.Lock()
        self._turn = 0

    def choose(self, tried: Collection[Endpoint] = (), *, given_up: Collection[Endpoint] = ()) -> Endpoint | None:
        """The next endpoint that was not tried, nor given up, and does not rest.

        If all of those that were not tried rest, the one whose rest ends first, but only for the first try of a round:
        a call is never refused because of a rest. None if nothing is left to try.
        """
        if len(self.all) == 1:
            return None if tried or given_up else self.all[0]
        now = time.monotonic()
        with self._lock:
            self._turn += 1
            count = len(self.all)
            turns = [self.all[(self._turn + offset) % count] for offset in range(count)]
            left = [endpoint for endpoint in turns if endpoint not in tried and endpoint not in given_up]
            for endpoint in left:
                if endpoint.rests_until <= now:
                    return endpoint
            if tried:
                return None
            return min(left, key=lambda endpoint: endpoint.rests_until, default=None)

    def failed(self, endpoint: Endpoint, rest_secs: float | None = None) -> None:
        """Let an endpoint rest: as long as it asked for, else for a time that grows with each failure."""
        with self._lock:
            endpoint.failures += 1
            growing = FIRST_REST_SECS * 2 ** min(endpoint.failures - 1, 10)
            endpoint.rest_secs = min(LONGEST_REST_SECS, growing if rest_secs is None else rest_secs)
            endpoint.rests_until = time.monotonic() + endpoint.rest_secs

    def succeeded(self, endpoint: Endpoint) -> None:
        """The endpoint answered: it is in order."""
        if endpoint.failures:
            with self._lock:
                endpoint.failures = 0
                endpoint.rests_until = 0.0
