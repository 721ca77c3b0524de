"""API keys from a folder, one file a key; the folder may change at any time.

A file is named after the role, or after role and name: ``write``, ``write.alice``,
``read.grafana``, ``internal``. To rotate a key put a second one beside it, move its users,
and remove the first; nothing has to be started again.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sep_kit.logging import get_logger

_log = get_logger("Keys")

SHORTEST = 24
"""Characters of the shortest key that counts: nobody guesses 24 random ones."""

_RECHECK_S = 1.0


class Role(Enum):
    """What a key is for."""

    READ = "read"
    WRITE = "write"
    INTERNAL = "internal"


_ROLES = frozenset(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key a call carried."""

    role: Role
    name: str


@dataclass(frozen=True, slots=True)
class _Key:
    caller: Caller
    digest: bytes


class KeyRing:
    """The keys that count now; without a folder there are none."""

    def __init__(self, folder: Path | None, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._looked_at = float("-inf")
        self._seen: object = None
        self._keys: tuple[_Key, ...] = ()
        self._own = ""

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; the time it takes tells nothing about the keys there are."""
        self._refresh()
        digest = _digest(key)
        found = None
        for known in self._keys:
            if hmac.compare_digest(known.digest, digest):
                found = known.caller
        return found

    def own_key(self) -> str:
        """The key that this service calls others with; empty where there is none."""
        self._refresh()
        return self._own

    def _refresh(self) -> None:
        now = self._monotonic()
        if self._folder is None or now - self._looked_at < _RECHECK_S:
            return
        self._looked_at = now
        try:
            files = sorted(p for p in self._folder.iterdir() if not p.name.startswith("."))
            stats = [
                (p.name, s.st_mtime_ns, s.st_size, s.st_ino) for p in files for s in [p.stat()]
            ]
            if stats == self._seen:
                return
            texts = {p.name: p.read_text("ascii").strip() for p in files if p.is_file()}
        except (OSError, UnicodeDecodeError) as error:
            # Without keys every call that needs one is refused.
            if self._seen != repr(error):
                _log.error("the keys can't be read: none counts", error=repr(error))
            self._seen, self._keys, self._own = repr(error), (), ""
            return
        self._seen = stats
        self._take(texts)

    def _take(self, texts: dict[str, str]) -> None:
        keys, own = [], ""
        for file, key in texts.items():
            role, _, name = file.partition(".")
            if role not in _ROLES or len(key) < SHORTEST:
                what = f"shorter than {SHORTEST} characters" if role in _ROLES else "no role's name"
                _log.error("a key file does not count", file=file, because=what)
                continue
            caller = Caller(Role(role), name or role)
            keys.append(_Key(caller, _digest(key)))
            own = own or (key if caller.role is Role.INTERNAL else "")
        self._keys, self._own = tuple(keys), own
        _log.info("keys read", names=[f"{k.caller.role.value}:{k.caller.name}" for k in keys])


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
