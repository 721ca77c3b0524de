"""Validation of requests against the contract, before a handler sees them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import protovalidate
from google.protobuf.message import DecodeError
from sep_contract import Method

from sep_kit.errors import InvalidArgumentError
from sep_kit.grpc.strict_request import RAW_BODY, REPEATED_NAMES, check_body, check_repeated

_MALFORMED = object()
_MAX_FAULTS = 10


class RequestValidator:
    """Checks requests with the constraints of their fields."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    def check(self, method: Method, request: Any, metadata: Mapping[str, Any]) -> None:
        """Accept a decoded request, or refuse it.

        Raises:
            InvalidArgumentError: it could not be decoded, or breaks constraints; names each field.
        """
        if request is _MALFORMED:
            raise InvalidArgumentError("the request is not a message of this method, or not UTF-8")
        if REPEATED_NAMES in metadata:
            check_repeated(metadata[REPEATED_NAMES], request)
        if method.has_body and RAW_BODY in metadata:
            check_body(metadata[RAW_BODY], request)
        if not request.DESCRIPTOR.fields:
            return
        try:
            self._validator.validate(request)
        except protovalidate.ValidationError as error:
            raise InvalidArgumentError(_faults(error.violations)) from None


def decoder(decode: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """A deserializer whose failures reach ``RequestValidator.check``.

    A deserializer that raises would make gRPC answer with the text of the Python exception.
    """
    if decode is None:
        return None

    def decoded(raw: bytes) -> Any:
        try:
            return decode(raw)
        except DecodeError:
            return _MALFORMED

    return decoded


def _faults(violations: Sequence[Any]) -> str:
    """Each violated field with its rule, ten at most."""
    faults = []
    for violation in violations[:_MAX_FAULTS]:
        steps = violation.proto.field.elements if violation.proto.field else ()
        path = ".".join(
            f"{s.field_name}[{s.subscript.value}]" if s.subscript else s.field_name for s in steps
        )
        faults.append(f"{path}: {violation.proto.message}" if path else violation.proto.message)
    if len(violations) > len(faults):
        faults.append(f"and {len(violations) - len(faults)} more")
    return "; ".join(faults)
