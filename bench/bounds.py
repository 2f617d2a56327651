"""What bounds each row, in words: from a profile, not a guess. An empty text is left out of the report."""

BOUNDS: dict[int, str] = dict.fromkeys(range(1, 14), "")
