"""The page at ``/`` where no console is built: where to look first. Without scripts."""

import html
from typing import Any

from sep_edge.openapi.page import STYLE

_FIRST = (
    ("/docs", "every route, with its errors and an example"),
    ("/health", "is every part serving?"),
    ("/api/status", "the stack in one answer: parts, versions, kill switch"),
    ("/api/trade/readiness", "would an entry pass now, and if not, why?"),
    ("/api/ranking/active", "instruments by score, and what blocks an entry"),
    ("/api/risk/allocation-status", "weights and their sum"),
    ("/api/oanda/positions", "positions as the broker reports them"),
    ("/metrics", "every metric, for Prometheus"),
    ("/openapi.json", "the API for programs"),
)
_UNDER_A_KEY = (
    "Where reading needs a key (<code>API_READS=key</code>), a browser can open only"
    " <code>/docs</code>, <code>/openapi.json</code> and <code>/health</code>."
)


_NO_CONSOLE = (
    "The operator console is not built here. In a checkout, <code>make console</code> builds it or"
    " names what is missing; then start the stack again with <code>make run</code>."
)


def render_start_page(document: dict[str, Any]) -> str:
    """The page.

    Args:
        document: the OpenAPI document.
    """
    info = document["info"]
    title = html.escape(f"{info['title']} {info['version']}")
    rows = (f"<tr><td><a href={path}>{path}</a><td>{html.escape(text)}" for path, text in _FIRST)
    return "\n".join(
        [
            "<!doctype html><html lang=en><meta charset=utf-8>",
            "<meta name=viewport content='width=device-width,initial-scale=1'>",
            f"<title>{title}</title><style>{STYLE}</style>",
            f"<h1>{title}</h1><p>The stack runs. It is operated through its API; start here:",
            f"<p>{_NO_CONSOLE}",
            f"<table>{''.join(rows)}</table>",
            f"<p class=dim>{_UNDER_A_KEY}</html>",
            "",
        ]
    )
