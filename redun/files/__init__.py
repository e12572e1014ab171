"""Files as values; `redun.file` is where all of it is public."""
