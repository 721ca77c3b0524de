"""Access control by API key: the same rules for REST, native gRPC and calls past the proxy."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sep_contract import Access, Method

from sep_kit.errors import (
    CallerNotAllowedError,
    ForeignOriginError,
    InternalOnlyError,
    PermissionDeniedError,
    UnauthenticatedError,
    WrongKeyError,
)
from sep_kit.grpc.keys import Caller, KeyRing, Role
from sep_kit.grpc.tls import DNS_NAME, service_name
from sep_kit.settings.shared.access import Reads

AUTHORIZATION = "authorization"
FOREIGN_ORIGIN = "x-sep-foreign"
"""Header by which the proxy marks calls of web pages of another origin."""
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """Checks the key of each call against the access that its method needs.

    Args:
        open_writes: whether every client may write; internal methods need their key even then.
        certificates: whether callers present certificates (mutual TLS), whose names count too.
    """

    keys: KeyRing
    reads: Reads
    open_writes: bool = False
    certificates: bool = False

    def admit(
        self, method: Method, metadata: Mapping[str, str], names: Collection[str] = ()
    ) -> Caller | None:
        """The caller; None for a call without a key.

        Args:
            names: names in the caller's certificate.

        Raises:
            UnauthenticatedError: a key is needed and missing, or the given key is unknown.
            PermissionDeniedError: the key is known but does not allow this, or the caller is not
                who may call it.
        """
        if self.certificates and not any(_is_of_the_stack(name) for name in names):
            raise CallerNotAllowedError(
                f"the caller's certificate has no name of the stack, such as {DNS_NAME}"
            )
        if method.access is Access.OPEN:
            return None
        if self.open_writes and method.access is not Access.INTERNAL:
            return self._admit_without_a_key(method, metadata)
        caller = self._caller(method.access, metadata)
        if caller is not None and method.callers:
            self._check_service(method, caller, names)
        return caller

    def _admit_without_a_key(self, method: Method, metadata: Mapping[str, str]) -> Caller | None:
        if method.access is Access.WRITE and FOREIGN_ORIGIN in metadata:
            raise ForeignOriginError(
                "a web page of another origin may not write while API_ACCESS is open"
            )
        return self.keys.caller(_bearer_key(metadata.get(AUTHORIZATION, "")))

    def _caller(self, access: Access, metadata: Mapping[str, str]) -> Caller | None:
        header = metadata.get(AUTHORIZATION)
        if header is None:
            if access is Access.READ and self.reads is Reads.OPEN:
                return None
            raise UnauthenticatedError(
                "this call needs a key: send the header `authorization: Bearer KEY`"
            )
        # A wrong key is refused even where none is needed: its sender believes that it counts.
        caller = self.keys.caller(_bearer_key(header))
        if caller is None:
            raise WrongKeyError(
                "the key is unknown, or was not sent as `authorization: Bearer KEY`"
            )
        if caller.role not in _ALLOWED_ROLES[access]:
            if access is Access.INTERNAL:
                raise InternalOnlyError("only services of the stack may call this method")
            raise PermissionDeniedError(f"the key {caller.name!r} only reads; this method writes")
        return caller

    def _check_service(self, method: Method, caller: Caller, names: Collection[str]) -> None:
        """Check that one of the method's callers sent this, by its key and its certificate."""
        allowed = " or ".join(method.callers)
        if caller.name not in method.callers:
            raise CallerNotAllowedError(
                f"only {allowed} may call this method, not the holder of the key {caller.name!r}"
            )
        if self.certificates and service_name(caller.name) not in names:
            raise CallerNotAllowedError(
                f"the caller's certificate lacks the name {service_name(caller.name)}"
            )


def _bearer_key(header: str) -> str:
    """The key in the header; empty, which is no key, if it has another form."""
    is_bearer = header[: len(_BEARER)].lower() == _BEARER
    return header[len(_BEARER) :].strip() if is_bearer else ""


def _is_of_the_stack(name: str) -> bool:
    return name == DNS_NAME or name.endswith(f".{DNS_NAME}")


_ALLOWED_ROLES = {
    Access.READ: frozenset(Role),
    Access.WRITE: frozenset({Role.WRITE}),
    Access.INTERNAL: frozenset({Role.INTERNAL}),
}
