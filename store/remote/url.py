"""URLs of remotes: taken apart, and made fit to be shown. A password in one never reaches a log, a message or an object."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redun.store.errors import StoreError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?:://|::[A-Za-z])")
_USER = re.compile(r"(://|::)([^/@\s:]*):([^/\s]*)@")
_SECRET = re.compile(r"(?i)(sig|signature|token|secret|password|key|credential|account_key|sas)")
_SECRET_OPTION = re.compile(
    r"(?i)(^|[_.-])(sig|signature|token|secret|password|passwd|passphrase|(api|access|account)?key|credentials?|sas)($|[_.-])"
)
_HIDDEN = "***"


def scheme(url: str) -> str:
    """Return the scheme of a URL in lower case, "" for a path of this machine."""
    found = _SCHEME.match(url)
    return found[1].lower() if found else ""


def shown(url: str) -> str:
    """Return a URL without its secrets: passwords, and values of a query that look like signatures or keys."""
    text = _USER.sub(lambda found: f"{found[1]}{found[2]}:{_HIDDEN}@", url)
    if "?" not in text or not scheme(text):
        return text
    parts = urlsplit(text)
    pairs = [
        (name, _HIDDEN if _SECRET.search(name) else value) for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return urlunsplit(parts._replace(query=urlencode(pairs, safe="*/:")))


def shown_option(name: str, value: str) -> str:
    """Return the text of an option of a configuration without secrets: those of URLs, of JSON in it, or all of it if its name says so."""
    if _SECRET_OPTION.search(name):
        return _HIDDEN if value else value
    if value.lstrip().startswith("{"):
        try:
            found = json.loads(value)
        except ValueError:
            return value
        hidden = _without_secrets(found)
        return value if hidden == found else json.dumps(hidden)
    return shown(value) if "://" in value else value


def _without_secrets(found: Any) -> Any:
    if isinstance(found, dict):
        return {
            name: _HIDDEN if isinstance(item, str) and _SECRET.search(name) else _without_secrets(item)
            for name, item in found.items()
        }
    return [_without_secrets(item) for item in found] if isinstance(found, list) else found


def secrets(url: str) -> list[str]:
    """List the texts in a URL that must not be shown, so that they can be cut out of what a library says."""
    found = [match[3] for match in _USER.finditer(url)]
    if "?" in url and scheme(url):
        found += [value for name, value in parse_qsl(urlsplit(url).query) if _SECRET.search(name)]
    return [text for text in found if text]


def hide(text: str, url: str) -> str:
    """Cut the secrets of a URL out of a text."""
    for secret in secrets(url):
        text = text.replace(secret, _HIDDEN)
    return text


def split_s3(url: str) -> tuple[str, str]:
    """Return bucket and prefix (without a slash at either end) of an `s3://` URL.

    Raises:
        StoreError: it names no bucket.
    """
    bucket, _, prefix = url.partition("://")[2].partition("/")
    if not bucket or "@" in bucket:
        raise StoreError(f"remote {shown(url)!r} names no bucket: expected s3://bucket/prefix")
    return bucket, prefix.strip("/")
