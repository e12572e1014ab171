"""How boto3 is configured: for the clients that redun makes itself, and those that s3fs makes for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_config: dict[str, Any] = {}


def set_boto_config(config: Mapping[str, Any]) -> None:
    """Use these arguments of `botocore.config.Config` for all clients from now on."""
    _config.clear()
    _config.update(config)


def get_boto_config() -> dict[str, Any]:
    """Return the arguments in force."""
    return dict(_config)


def make_boto_config() -> Any:
    """Return a `botocore.config.Config` with these arguments.

    Raises:
        ConfigError: botocore does not take them.
    """
    from botocore.config import Config

    try:
        return Config(**_config)
    except Exception as error:
        from redun.errors import ConfigError

        raise ConfigError(f"option 'boto_config' in section [scheduler]: botocore refuses it: {error}") from error
