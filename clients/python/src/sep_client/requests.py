"""Parts of requests that have more than a few fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Parameters wanted in force for one instrument.

    Attributes:
        values: parameters by name; those that are not named have their defaults.
        judged: whether the run's verdict, from results out of sample, is to promote them.
        against: why the verdict is against them.
        digest_before: digest of the parameters that must be in force now; None for any.
    """

    instrument: str
    values: Mapping[str, float]
    judged: bool
    against: tuple[str, ...] = ()
    digest_before: str | None = None

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        body: dict[str, Any] = {
            "instrument": self.instrument,
            "values": dict(self.values),
            "judged_to_promote": self.judged,
            "against": list(self.against),
        }
        if self.digest_before is not None:
            body["digest_before"] = self.digest_before
        return body
