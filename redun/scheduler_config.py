"""Configurations made complete: what scripts that make a `Scheduler` of their own import from here."""

from __future__ import annotations

import os

from redun.config import FOLDER, INI, Config, import_federated

DEFAULT_REPO_NAME = "default"
REDUN_CONFIG_DIR = FOLDER
REDUN_INI_FILE = INI


def get_abs_config_dir(config_dir: str, cwd: str | None = None) -> str:
    """Return the absolute path of a configuration folder, a relative one being taken from `cwd` or the working folder."""
    return os.path.normpath(os.path.join(cwd or os.getcwd(), config_dir))


def postprocess_config(config: Config, config_dir: str) -> Config:
    """Complete a configuration that was read or made by a script; returns the same object.

    Afterwards it knows its folder, has a section `[repos.default]`, sections `[backend]` and `[scheduler]`, an absolute `context_file`,
    and the executors and federated tasks of the folders in `federated_configs`.

    Args:
        config_dir: the folder that it came from.

    Raises:
        ConfigError: a folder of `federated_configs` cannot be read, or names something that is there already.
    """
    config.complete(config_dir)
    import_federated(config)
    return config
