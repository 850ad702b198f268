"""Inference services over HTTP."""
