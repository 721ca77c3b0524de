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


def page_text(url: str = "http://127.0.0.1:8000") -> str:
    page = render_page(DOCUMENT, native_methods(CONTRACT), url)
    page = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def test_the_page_says_each_thing_once() -> None:
    """Texts that two fields of the contract share are there twice, as in the contract."""
    text = " ".join(page_text().split())
    operations = [o for verbs in DOCUMENT["paths"].values() for o in verbs.values()]
    schemas = DOCUMENT["components"]["schemas"].values()
    fields = [f for s in schemas for f in s.get("properties", {}).values()]
    parameters = [p for o in operations for p in o.get("parameters", [])]
    bodies = [o["requestBody"]["content"]["application/json"]["schema"]
              for o in operations if "requestBody" in o]  # fmt: skip
    fields += [f for schema in bodies for f in schema["properties"].values()]
    texts = Counter(found.get("description", "") for found in (*fields, *parameters))
    texts.update(f"{operation['summary']}." for operation in operations)
    texts.update(STATUS_MEANING.values())
    for described, count in texts.items():
        sentence = described.replace("`", "")
        if len(sentence) < 30:
            continue  # short ones, such as "Instrument name.", are part of others
        assert text.count(sentence) <= count, sentence
        assert sentence in text, sentence


def test_the_page_shows_the_url_in_use() -> None:
    text = page_text("https://sep.example:9000")
    assert text.count("https://sep.example:9000/") == len(
        [m for m in CONTRACT.methods.values() if m.route]
    )
    assert "localhost" not in text
    assert "8000" not in text
