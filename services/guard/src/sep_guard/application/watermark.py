"""The newest transaction that this replica knows of: no cycle is planned on an older view."""


class Watermark:
    """Rises only. It begins at 0 with the process: a start reads the account anew."""

    def __init__(self) -> None:
        self._newest = 0

    @property
    def newest(self) -> int:
        """Id of the newest transaction known; 0 for none."""
        return self._newest

    def note(self, transaction_id: int) -> None:
        """Take a transaction into account."""
        self._newest = max(self._newest, transaction_id)
