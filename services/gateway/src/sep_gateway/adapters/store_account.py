"""``ops:account``: whose state this Valkey holds. Candles, gates and orders name no account."""

from sep_kit.errors import CorruptRecordError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_kit.store.documents import Document, parse_document


class AccountRecord(Document):
    """The account that a store belongs to."""

    environment: str
    account_id: str


class StoreAccount:
    """Claims the store for one account; the first claim stands as long as the store does."""

    def __init__(self, store: Valkey, own: AccountRecord) -> None:
        self._store = store
        self._own = own

    async def check(self) -> str | None:
        """Why the store is not this account's; None while it is, or nobody's.

        Raises:
            StoreUnavailableError: Valkey does not answer.
        """
        return self._fault(await reply(self._store.get(keys.STORE_ACCOUNT)))

    async def claim(self) -> str | None:
        """Make a store that is nobody's this account's; why it is another's, as ``check`` does.

        To be called once the broker has confirmed the account: a mistyped one shall leave no mark.
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
            return f"{error}; nobody can tell whose state this Valkey holds"
        if found == self._own:
            return None
        return (
            f"this Valkey holds the state of the {found.environment} account {found.account_id}, "
            f"and OANDA_ENVIRONMENT={self._own.environment} with "
            f"OANDA_ACCOUNT_ID={self._own.account_id} is another: set VALKEY_URL to one of its own "
            "(with make run: SEP_RUN_DIR)"
        )
