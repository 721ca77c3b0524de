"""``ops:account``: the account that this Valkey belongs to; no other key names one."""

from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import Document, parse_document


class AccountRecord(Document):
    """The account that a store belongs to."""

    environment: str
    account_id: str


class ValkeyStoreOwnership:
    """Claims the store for one account; the first claim is permanent.

    Implements ``ports.StoreOwnership``.
    """

    def __init__(self, store: Valkey, own: AccountRecord) -> None:
        self._store = store
        self._own = own

    async def check(self) -> str | None:
        """Why the store belongs to another account; None if it is this account's or unowned.

        Raises:
            StoreUnavailableError: Valkey does not respond.
        """
        return self._fault(await reply(self._store.get(keys.STORE_ACCOUNT)))

    async def claim(self) -> str | None:
        """Make an unowned store this account's; returns as ``check`` does.

        Call it only after the broker has confirmed the account, so that a mistyped account id
        is never recorded.
        """
        text = self._own.model_dump_json()
        return self._fault(
            await reply(self._store.set(keys.STORE_ACCOUNT, text, nx=True, get=True))
        )

    def _fault(self, raw: bytes | None) -> str | None:
        if raw is None:
            return None
        try:
            found = parse_document(AccountRecord, keys.STORE_ACCOUNT, raw)
        except CorruptRecordError as error:
            return f"{error}; which account this Valkey belongs to is not known"
        if found == self._own:
            return None
        return (
            f"this Valkey holds the state of the {found.environment} account {found.account_id}, "
            f"but OANDA_ENVIRONMENT={self._own.environment} and "
            f"OANDA_ACCOUNT_ID={self._own.account_id}: set VALKEY_URL to a separate store "
            "(with make run: SEP_RUN_DIR)"
        )
