"""The API's document, held to the standard by a validator that is none of ours."""

from copy import deepcopy
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator
from sep_protos import DESCRIPTOR_SET
from sep_stack.contract import methods_of, read_contract
from sep_stack.openapi.document import openapi_document
from sep_stack.openapi.errors import reasons_of

CONTRACT = read_contract(DESCRIPTOR_SET)
DOCUMENT = openapi_document(CONTRACT, "1.0")


def faults(document: Any) -> list[str]:
    return [str(error.message) for error in OpenAPIV31SpecValidator(document).iter_errors()]


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert faults(DOCUMENT) == []


def test_a_document_that_is_none_would_be_noticed() -> None:
    nameless, placeless = deepcopy(DOCUMENT), deepcopy(DOCUMENT)
    del nameless["info"]
    placeless["paths"]["/api/candles"]["get"]["parameters"][0]["in"] = "nowhere"
    assert faults(nameless)
    assert faults(placeless)


def test_every_route_is_told_with_every_reason_that_it_may_fail_for() -> None:
    told = {
        (verb.upper(), path): {
            int(status): answer["x-reasons"]
            for status, answer in operation["responses"].items()
            if status != "200"
        }
        for path, verbs in DOCUMENT["paths"].items()
        for verb, operation in verbs.items()
    }
    assert told == {(m.verb, m.route): reasons_of(m) for m in methods_of(CONTRACT) if m.route}


def test_every_schema_is_used_and_every_field_explained() -> None:
    text = str(DOCUMENT)
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert f"#/components/schemas/{name}'" in text, name
        assert schema["description"], name
        for field in schema.get("properties", {}).values():
            assert "$ref" in field or field.get("description") or name == "ErrorInfo", name
