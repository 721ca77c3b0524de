"""The newest transaction that this replica knows of: no cycle is planned on an older view."""

from collections.abc import Callable

_DOUBT_S = 5.0


class Watermark:
    """Rises, until a named transaction turns out not to exist.

    It begins at 0 with the process: a start reads the account anew.

    A refused order changes nothing. A broker may name a transaction for it that the account never
    shows, so views must include that one only for a few seconds, in which they may lag.

    Args:
        elapsed: a monotonic clock in seconds.
    """

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._newest = 0
        self._refusal = 0
        self._refused_at = 0.0

    @property
    def newest(self) -> int:
        """Id of the newest transaction that views must include; 0 for none."""
        if self._elapsed() - self._refused_at < _DOUBT_S:
            return max(self._newest, self._refusal)
        return self._newest

    def note(self, transaction_id: int) -> None:
        """Raise the watermark to a transaction; a lower one changes nothing."""
        self._newest = max(self._newest, transaction_id)

    def note_refusal(self, transaction_id: int) -> None:
        """Take the newest transaction in the answer to a refused order into account."""
        if transaction_id > self._refusal:
            self._refusal = transaction_id
            self._refused_at = self._elapsed()

    def reset(self, transaction_id: int) -> None:
        """Begin again at a transaction: a newer one that was named does not exist."""
        self._newest = transaction_id
        self._refusal = 0
