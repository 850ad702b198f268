"""Regular expressions: from their text to exact sets of texts."""
