"""How records look on a screen: facts of `redun.provenance` to lines of text or JSON. Nothing here reads or writes anything
else."""
