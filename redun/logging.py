"""The logger of scripts that write lines beside redun's own; the lines of a run go to standard error without it."""

import logging

logger = logging.getLogger("redun")

log_levels = {"ERROR": logging.ERROR, "WARN": logging.WARNING, "INFO": logging.INFO, "DEBUG": logging.DEBUG}

__all__ = ["log_levels", "logger"]
