"""JSON Schema: from its text to what an engine can enforce."""
