"""The destinations of notifications: Apprise URLs in a file or a setting."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr
from sep_kit.logging import get_logger

_log = get_logger("Journal")


class UrlList:
    """Implements ``Destinations``. The file is read again each time, so that it can be changed
    without a restart.

    A line holds URLs separated by spaces; one that begins with ``#`` is a comment.
    """

    def __init__(self, urls: SecretStr, path: Path | None) -> None:
        self._urls = urls
        self._path = path
        self._last: Mapping[str, str] = {}
        self._failed = False

    def read(self) -> Mapping[str, str]:
        """URLs by name; while the file can't be read, those that were in it before."""
        text = self._urls.get_secret_value()
        if self._path is not None:
            try:
                text += "\n" + self._path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                if not self._failed:
                    kind = type(error).__name__
                    _log.warning("NOTIFY_URLS_FILE can't be read", path=self._path, error=kind)
                self._failed = True
                return self._last
        self._failed = False
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        self._last = {name_of(url): url for line in lines for url in line.split()}
        return self._last


def name_of(url: str) -> str:
    """The scheme, and a digest that does not give the URL away."""
    scheme = url.partition(":")[0].lower()
    known = scheme if scheme.isalnum() and len(scheme) <= _LONGEST_SCHEME else "unknown"
    return f"{known}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


_LONGEST_SCHEME = 16
