"""The error of a stack that can't be started with its settings."""

from collections.abc import Iterable


class StackError(Exception):
    """A headline and a list of faults, all written for the operator."""

    def __init__(self, headline: str, faults: Iterable[str] = ()) -> None:
        self.headline = headline
        self.faults = tuple(faults)
        super().__init__("\n".join((headline, *(f"  - {fault}" for fault in self.faults))))
