"""The version of this release: the one place that states it (`setup.cfg` reads this literal without importing anything)."""

__version__ = "0.1.0"
