"""The process that sends with Apprise: ``python -m sep_journal.adapters.apprise_process``.

Apprise takes half a second and 25 MB to import, and its plug-ins block, so it runs for as long as
there is something to send and no longer. It reads one JSON document from its input, writes one JSON
line an outcome, and never writes a URL.
"""

import json
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from threading import Lock
from typing import Any

_ID_HEADER = "X-Notification-Id"
_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}


def main() -> None:
    """Send what the input names."""
    # Its log lines may hold URLs.
    logging.disable(logging.CRITICAL)
    given = json.load(sys.stdin)
    urls: dict[str, str] = given["urls"]
    by_name = sorted(given["deliveries"], key=lambda d: d["destination"])
    lock = Lock()

    def work(name: str, deliveries: list[dict[str, Any]]) -> None:
        for key, error in _send(urls[name], deliveries):
            with lock:
                line = {"key": key, "destination": name, "error": error}
                sys.stdout.write(json.dumps(line) + "\n")
                sys.stdout.flush()

    groups = [(name, list(d)) for name, d in groupby(by_name, lambda d: d["destination"])]
    # A slow destination delays no other one.
    with ThreadPoolExecutor(max(1, len(groups))) as pool:
        list(pool.map(lambda group: work(*group), groups))


def _send(url: str, deliveries: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Key and error of each attempt; the first failure ends it."""
    import apprise

    try:
        plugin = apprise.Apprise.instantiate(url)
    except Exception:  # noqa: BLE001  whatever a plug-in raises must not show the URL
        plugin = None
    for delivery in deliveries:
        error = "not a URL that Apprise knows" if plugin is None else ""
        if plugin is not None:
            # A channel that carries headers can remove duplicates by it.
            headers = getattr(plugin, "headers", None)
            if isinstance(headers, dict):
                headers[_ID_HEADER] = delivery["key"]
            try:
                sent = plugin.notify(
                    title=delivery["title"],
                    body=delivery["body"] or delivery["title"],
                    notify_type=_TYPES.get(delivery["level"], "info"),
                )
            except Exception as raised:  # noqa: BLE001  as above
                sent, error = False, f"fails: {type(raised).__name__}"
            if not sent:
                error = error or "not accepted, or no answer"
        yield delivery["key"], error
        if error:
            return


if __name__ == "__main__":
    main()
