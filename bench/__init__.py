"""Measurements of this tree, beside its baseline, other revisions, the existing package and other tools: `python -m bench --help`.

What can be measured from outside is: in a subprocess, as a user runs it, with the start of Python, imports, opening the store, a full
log to a file and full provenance. So the same workflows (`bench/flows/`) and the same figures serve any program with this command line.
docs/performance.md tells how to use it and what came of it.
"""
