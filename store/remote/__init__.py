"""Remotes: stores at a URL that many machines push to and pull from. See docs/format.md, section 11, for the bytes.

backends/   what a place must be able to do (list, get, put if absent), and one module for each kind of place
frames      zstd frames with a limit each: the one way in which bytes are compressed here
pack        many objects in one file          index    where each object is
log         the entries that make it one history, and their sums (checkpoints)
mirror      what this machine knows of a remote, on disk beside the store
remote      a remote, opened: brought up to date, asked for objects
push, pull  the two directions
"""
