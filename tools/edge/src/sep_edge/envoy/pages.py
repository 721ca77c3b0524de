"""Routes of the files that Envoy serves itself: the console, the API's page, its document.

Each file is a direct response of its own. Envoy's file server is outside its threat model.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sep_edge.console import COMPRESSED, console_files
from sep_edge.envoy.filters import Json, set_header
from sep_edge.envoy.settings import EdgeSettings

MAX_PAGE_BYTES = 4 * 1024 * 1024
_HTML = "text/html; charset=utf-8"
_PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_CONSOLE_POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "connect")),
        *(f"{kind} 'none'" for kind in ("base-uri", "form-action", "frame-ancestors")),
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_TAKES_GZIP: Json = {
    "name": "accept-encoding",
    "string_match": {"safe_regex": {"regex": r"(.*[ ,])?gzip([ ,].*)?"}},
}
_CHANGING = "no-cache"
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A path that Envoy serves from a file.

    Args:
        response: Envoy's ``direct_response`` without its status.
        headers: headers of the response.
        conditions: what a request's headers must match, beside its method.
    """

    path: str
    response: Json
    headers: tuple[Json, ...]
    conditions: tuple[Json, ...] = ()


def pages(settings: EdgeSettings) -> Iterable[Page]:
    """Every file with its path, the first that matches counts; none without a folder of pages."""
    if settings.pages is None:
        return
    if settings.console is None:
        yield _plain("/", _HTML, {"body": _file(settings.pages / "index.html")})
    else:
        yield from _console(settings.console)
    document = _file(settings.pages / "openapi.json")
    yield _plain("/openapi.json", "application/json", {"body": document})
    page = _file(settings.pages / "docs.html")
    text: Json = {"text_format_source": page, "content_type": _HTML}
    yield _plain("/docs", _HTML, {"body_format": text})


def _plain(path: str, content_type: str, response: Json) -> Page:
    headers = {
        "content-type": content_type,
        "cache-control": _CHANGING,
        "content-security-policy": _PAGE_POLICY,
    }
    return _page(path, response, headers)


def _console(folder: Path) -> Iterable[Page]:
    """The console's files. Those whose names hold a hash of their content never change."""
    for file in console_files(folder):
        headers = {
            "content-type": file.content_type,
            "cache-control": _FOR_EVER if file.hashed else _CHANGING,
            "content-security-policy": _CONSOLE_POLICY,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            "vary": "accept-encoding",
        }
        compressed = {"body": _file(folder / f"{file.name}{COMPRESSED}")}
        page = _page(file.path, compressed, headers | {"content-encoding": "gzip"})
        yield replace(page, conditions=(_TAKES_GZIP,))
        yield _page(file.path, {"body": _file(folder / file.name)}, headers)


def _page(path: str, response: Json, headers: dict[str, str]) -> Page:
    added = tuple(set_header(name, value) for name, value in headers.items())
    return Page(path=path, response=response, headers=added)


def _file(path: Path) -> Json:
    return {"filename": str(path)}
