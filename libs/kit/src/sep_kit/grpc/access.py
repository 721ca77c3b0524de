"""Access control by API key: the same rules for REST, native gRPC and calls past the proxy."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sep_contract import Access

from sep_kit.errors import (
    InternalOnlyError,
    PermissionDeniedError,
    UnauthenticatedError,
    WrongKeyError,
)
from sep_kit.grpc.keys import Caller, KeyRing, Role

AUTHORIZATION = "authorization"
_BEARER = "bearer "


class Reads(StrEnum):
    """Whether reading needs a key."""

    OPEN = "open"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Checks the key of each call against the access that its method needs."""

    keys: KeyRing
    reads: Reads

    def admit(self, access: Access, metadata: Mapping[str, str]) -> Caller | None:
        """The caller; None for a call without a key.

        Raises:
            UnauthenticatedError: a key is needed and missing, or the given key is unknown.
            PermissionDeniedError: the key is known but does not allow this.
        """
        if access is Access.OPEN:
            return None
        header = metadata.get(AUTHORIZATION)
        if header is None:
            if access is Access.READ and self.reads is Reads.OPEN:
                return None
            raise UnauthenticatedError(
                "this call needs a key: send the header `authorization: Bearer KEY`"
            )
        # A wrong key is refused even where none is needed: its sender believes that it counts.
        is_bearer = header[: len(_BEARER)].lower() == _BEARER
        caller = self.keys.caller(header[len(_BEARER) :].strip()) if is_bearer else None
        if caller is None:
            raise WrongKeyError(
                "the key is unknown, or was not sent as `authorization: Bearer KEY`"
            )
        if caller.role not in _ALLOWED_ROLES[access]:
            if access is Access.INTERNAL:
                raise InternalOnlyError("only services of the stack may call this method")
            raise PermissionDeniedError(f"the key {caller.name!r} only reads; this method writes")
        return caller


_ALLOWED_ROLES = {
    Access.READ: frozenset(Role),
    Access.WRITE: frozenset({Role.WRITE}),
    Access.INTERNAL: frozenset({Role.INTERNAL}),
}
