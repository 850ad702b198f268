"""Engines behind Maze; base.py says what each of them looks like from above."""
