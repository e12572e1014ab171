"""The logger `redun`, for scripts that write lines beside redun's own: they look the same and keep their place among them."""

import logging
import sys

log_formatter = logging.Formatter("[redun] %(message)s")


class _StandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error as it is at the time of writing, which tests and notebooks may have replaced."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> object:
        """Standard error."""
        return sys.stderr


log_handler = _StandardError()
log_handler.setFormatter(log_formatter)

logger = logging.getLogger("redun")
logger.setLevel(logging.INFO)
logger.addHandler(log_handler)

log_levels = {"ERROR": logging.ERROR, "WARN": logging.WARNING, "INFO": logging.INFO, "DEBUG": logging.DEBUG}

__all__ = ["log_formatter", "log_handler", "log_levels", "logger"]
