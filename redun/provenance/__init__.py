"""The read side: what ran, from what, and why; typed, read-only, and free of formatting."""
