"""The OpenAPI document, checked with an independent validator, and the page."""

import html
import re
from collections import Counter
from copy import deepcopy
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator
from sep_contract import read_contract
from sep_edge.openapi.document import native_methods, openapi_document
from sep_edge.openapi.errors import STATUS_MEANING, reasons_of
from sep_edge.openapi.page import render_page

CONTRACT = read_contract()
DOCUMENT = openapi_document(CONTRACT, "1.0")


def faults(document: Any) -> list[str]:
    return [str(error.message) for error in OpenAPIV31SpecValidator(document).iter_errors()]


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert faults(DOCUMENT) == []


def test_the_validator_notices_faults() -> None:
    nameless, placeless = deepcopy(DOCUMENT), deepcopy(DOCUMENT)
    del nameless["info"]
    placeless["paths"]["/api/candles"]["get"]["parameters"][0]["in"] = "nowhere"
    assert faults(nameless)
    assert faults(placeless)


def test_every_route_documents_every_reason_of_failure() -> None:
    documented = {
        (verb.upper(), path): {
            int(status): response["x-reasons"]
            for status, response in operation["responses"].items()
            if status != "200"
        }
        for path, verbs in DOCUMENT["paths"].items()
        for verb, operation in verbs.items()
    }
    routed = [m for m in CONTRACT.methods.values() if m.route]
    assert documented == {(m.verb, m.route): reasons_of(m) for m in routed}


def test_every_schema_is_used_and_every_field_has_a_description() -> None:
    text = str(DOCUMENT)
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert f"#/components/schemas/{name}'" in text, name
        assert schema["description"], name
        for field in schema.get("properties", {}).values():
            assert "$ref" in field or field.get("description") or name == "ErrorInfo", name


def page_cells(url: str = "http://127.0.0.1:8000") -> list[str]:
    """The texts of the page's paragraphs, headings and table cells."""
    page = render_page(DOCUMENT, native_methods(CONTRACT), url)
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    page = re.sub(r"</?(code|a|span|b)\b[^>]*>", "", page)
    return [html.unescape(" ".join(cell.split())) for cell in re.split(r"<[^>]+>", page)]


def test_the_page_says_each_thing_once() -> None:
    """A description is there as often as the contract has it, and no cell repeats a sentence."""
    operations = [o for verbs in DOCUMENT["paths"].values() for o in verbs.values()]
    schemas = list(DOCUMENT["components"]["schemas"].values())
    bodies = [o["requestBody"]["content"]["application/json"]["schema"]
              for o in operations if "requestBody" in o]  # fmt: skip
    described = [
        *schemas,
        *(field for s in (*schemas, *bodies) for field in s.get("properties", {}).values()),
        *(parameter for o in operations for parameter in o.get("parameters", [])),
    ]
    texts = Counter(found.get("description", "").replace("`", "") for found in described)
    texts.update(f"{operation['summary']}.".replace("`", "") for operation in operations)
    texts.update(STATUS_MEANING.values())
    cells = page_cells()
    for cell, count in Counter(cells).items():
        if len(cell) > 30 and not cell.isupper() and "^" not in cell:
            assert count <= texts.get(cell, 1), cell
        sentences = re.split(r"(?<=[.;]) ", cell)
        assert len(sentences) == len(set(sentences)), cell
    for text in STATUS_MEANING.values():
        assert text in cells


def test_the_page_shows_the_url_in_use() -> None:
    text = " ".join(page_cells("https://sep.example:9000"))
    assert text.count("https://sep.example:9000/") == len(
        [m for m in CONTRACT.methods.values() if m.route]
    )
    assert "localhost" not in text
    assert "8000" not in text
