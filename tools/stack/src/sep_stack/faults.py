"""The one error of a stack that can't be started as it was asked to."""

from collections.abc import Iterable


class StackError(Exception):
    """What is wrong, every fault at once, in words for the operator."""

    def __init__(self, headline: str, faults: Iterable[str] = ()) -> None:
        self.headline = headline
        self.faults = tuple(faults)
        super().__init__("\n".join((headline, *(f"  - {fault}" for fault in self.faults))))
