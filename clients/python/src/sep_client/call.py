"""One call of the API: its path, parameters, body and the type of its response."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call.

    Args:
        response_type: a class of ``models``, or str for text.
        path: a name in braces stands for the value in ``query``.
        body: None for a read.
        error_has_response: whether the error that names what is down contains the response.
    """

    response_type: type[T]
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    error_has_response: bool = False

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, so that it may be retried."""
        return self.body is None

    @property
    def target(self) -> str:
        """The path with its values."""
        values = {name: quote(str(value), safe="") for name, value in self.query.items()}
        return self.path.format(**values)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The query parameters: those that the path does not contain."""
        return {n: value for n, value in self.query.items() if f"{{{n}}}" not in self.path}
