"""Writes the document and the pages for Envoy to serve.

The API's page is a format string of Envoy, which inserts the URL that the reader uses into the
example commands. So they show the port in use, whatever maps to the one that Envoy listens on.
"""

import json
from importlib.metadata import version
from pathlib import Path

from sep_contract import read_contract

from sep_edge.openapi.document import native_methods, openapi_document
from sep_edge.openapi.page import render_page
from sep_edge.openapi.start_page import render_start_page

_PLACEHOLDER = "http://url-of-this-page"
_URL_OF_REQUEST = "%REQ(:SCHEME)%://%REQ(:AUTHORITY)%"


def write_pages(folder: Path) -> None:
    """Write ``openapi.json``, ``docs.html`` and ``index.html`` into a folder; creates it."""
    folder.mkdir(parents=True, exist_ok=True)
    contract = read_contract()
    document = openapi_document(contract, version("sep-protos"))
    (folder / "openapi.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    page = render_page(document, native_methods(contract), _PLACEHOLDER)
    page = page.replace("%", "%%").replace(_PLACEHOLDER, _URL_OF_REQUEST)
    (folder / "docs.html").write_text(page, "utf-8")
    (folder / "index.html").write_text(render_start_page(document), "utf-8")
