"""The embedded engine: a llama.cpp server in a child process of its own, spoken to over a Unix socket."""

from maze.engine.embedded import EmbeddedEngine, bundled_model

__all__ = ["EmbeddedEngine", "bundled_model"]
