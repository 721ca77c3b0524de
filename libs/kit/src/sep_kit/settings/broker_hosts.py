"""Which kind of account is behind a URL or an account id of the broker."""

from urllib.parse import urlsplit

_HOSTS = {
    "api-fxpractice.oanda.com": "practice",
    "stream-fxpractice.oanda.com": "practice",
    "api-fxtrade.oanda.com": "live",
    "stream-fxtrade.oanda.com": "live",
}
_PREFIXES = {"101": frozenset({"paper", "practice"}), "001": frozenset({"live"})}
_ALL = frozenset({"paper", "practice", "live"})


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def environments_of_host(url: str) -> frozenset[str]:
    """The environments that a URL's host allows.

    The broker's own hosts allow one each, and other names of the broker's domain none. A host that
    is not the broker's, such as loopback, says nothing: the account's prefix decides.
    """
    host = _host(url)
    if host in _HOSTS:
        return frozenset({_HOSTS[host]})
    return frozenset() if host == "oanda.com" or host.endswith(".oanda.com") else _ALL


def environments_of_account(account_id: str) -> frozenset[str]:
    """The environments that an account's prefix allows: 101 is practice, 001 is live."""
    return _PREFIXES.get(account_id.partition("-")[0], frozenset())


def is_encrypted_where_needed(environment: str, url: str) -> bool:
    """Whether a URL is https, as a live account and the broker's own hosts need."""
    needed = environment == "live" or environments_of_host(url) != _ALL
    return not needed or urlsplit(url).scheme == "https"
