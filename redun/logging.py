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
if logger.level == logging.NOTSET:
    logger.setLevel(logging.INFO)
logger.addHandler(log_handler)

log_levels = {"ERROR": logging.ERROR, "WARN": logging.WARNING, "INFO": logging.INFO, "DEBUG": logging.DEBUG}


def is_untouched() -> bool:
    """True if records of this logger, of level INFO, end on standard error with redun's mark and nowhere else."""
    return (
        logger.handlers == [log_handler]
        and logger.level == logging.INFO
        and not (logger.disabled or logger.filters or logger.manager.disable >= logging.INFO)
        and not (logger.propagate and logging.root.handlers)
        and log_handler.formatter is log_formatter
        and not (log_handler.level or log_handler.filters)
    )


__all__ = ["log_formatter", "log_handler", "log_levels", "logger"]
