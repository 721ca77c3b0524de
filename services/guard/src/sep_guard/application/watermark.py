"""The newest transaction that this replica knows of: no cycle is planned on an older view."""


class Watermark:
    """Rises, until a named transaction turns out not to exist.

    It begins at 0 with the process: a start reads the account anew. A broker may name a
    transaction for a refused order that the account never shows; the gateway finds out within
    seconds that its ledger has no such transaction, and the reader of views resets to the last
    one that exists.
    """

    def __init__(self) -> None:
        self.newest = 0
        """Id of the newest transaction that views must include; 0 for none."""

    def note(self, transaction_id: int) -> None:
        """Raise the watermark to a transaction; a lower one changes nothing."""
        self.newest = max(self.newest, transaction_id)

    def reset(self, transaction_id: int) -> None:
        """Begin again at a transaction: a newer one that was named does not exist."""
        self.newest = transaction_id
