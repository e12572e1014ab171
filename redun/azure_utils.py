"""Azure credentials."""

from __future__ import annotations

from typing import Any


def get_az_credential() -> Any:
    """Return the credential that Azure's own library finds: environment, managed identity, command line tool.

    Raises:
        ImportError: the package azure-identity is not installed.
    """
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise ImportError("paths of Azure need the package 'azure-identity', which is not installed") from None
    return DefaultAzureCredential()
