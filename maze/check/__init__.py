"""Finished text and constraints: satisfied or violated, where and why."""
