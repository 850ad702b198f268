"""A context-free grammar as a value: its model, and what can be asked of it and made of it."""
