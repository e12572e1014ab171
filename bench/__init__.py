"""Measurements of the whole `redun run`, beside the existing package or beside another revision: `python -m bench --help`.

Everything is measured from outside, in a subprocess, as a user runs it: start of Python, imports, opening the store, a full log
to a file, full provenance. So the same workflow and the same figures serve any program with this command line.
"""
