"""Who may call what: one rule set for REST, native gRPC and calls past the proxy."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sep_kit.errors import (
    InternalOnlyError,
    PermissionDeniedError,
    UnauthenticatedError,
    WrongKeyError,
)
from sep_kit.grpc.keys import Caller, KeyRing, Role
from sep_kit.grpc.rules import Access, Rule

AUTHORIZATION = "authorization"
_BEARER = "bearer "


class Reads(StrEnum):
    """Whether reading needs a key."""

    OPEN = "open"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Checks the key of each call against the rule of its method."""

    keys: KeyRing
    reads: Reads

    def admit(self, rule: Rule, metadata: Mapping[str, str]) -> Caller | None:
        """Whoever calls; None for somebody without a key.

        Raises:
            UnauthenticatedError: a key is needed and missing, or it is wrong.
            PermissionDeniedError: the key is right, and not for this.
        """
        if rule.access is Access.OPEN:
            return None
        header = metadata.get(AUTHORIZATION)
        if header is None:
            if rule.access is Access.READ and self.reads is Reads.OPEN:
                return None
            raise UnauthenticatedError(
                "this needs a key: send the header `authorization: Bearer KEY`"
            )
        # A wrong key is refused even where none is needed: whoever sends it believes it counts.
        is_bearer = header[: len(_BEARER)].lower() == _BEARER
        caller = self.keys.caller(header[len(_BEARER) :].strip()) if is_bearer else None
        if caller is None:
            raise WrongKeyError("this key is not known, or not sent as `authorization: Bearer KEY`")
        if caller.role not in _ENOUGH[rule.access]:
            if rule.access is Access.INTERNAL:
                raise InternalOnlyError("only the services of the stack call this themselves")
            raise PermissionDeniedError(f"the key {caller.name!r} may read; this writes")
        return caller


_ENOUGH = {
    Access.READ: frozenset(Role),
    Access.WRITE: frozenset({Role.WRITE}),
    Access.INTERNAL: frozenset({Role.INTERNAL}),
}
