"""Sources of objects: one file each, all of them held to `redun.store.sources.base`."""
