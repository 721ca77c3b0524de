"""The API as one HTML page without scripts, which needs no network and no second request.

Each thing is said once: what an HTTP status means, in one table at the top; what a message or enum
holds, in one section of its own that every use links to.
"""

import html
import json
from collections.abc import Iterator, Sequence
from typing import Any

from sep_contract import Method

from sep_edge.openapi.errors import STATUS_MEANING

Json = dict[str, Any]

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
code,pre{font:13px/1.5 ui-monospace,monospace;background:#f4f4f4;border-radius:3px}
code{padding:.1em .3em}pre{padding:.7em;overflow-x:auto}
h2{margin-top:2.5em;border-bottom:1px solid #ddd;text-transform:capitalize}h3{margin-top:2em}
h3 code{font-size:16px}.verb{font-weight:700;margin-right:.5em}.POST{color:#a33}.GET{color:#263}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.25em .6em;
border-top:1px solid #eee}th{font-weight:600}.dim{color:#777}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}code,pre{background:#262626}
td,th{border-color:#333}a{color:#8ab4f8}.POST{color:#f88}.GET{color:#8d8}}
"""
_LIMITS = {
    "minLength": "at least",
    "maxLength": "at most",
    "minimum": "from",
    "maximum": "up to",
    "maxItems": "at most",
}
_EXAMPLES: Json = {
    "dry_run": True,
    "kill_switch": True,
    "reason": "maintenance",
    "instruments": ["EUR_USD"],
    "granularity": "M1",
    "count": 500,
}


def render_page(document: Json, native: Sequence[Method], url: str) -> str:
    """The page.

    Args:
        document: the OpenAPI document.
        native: methods that have no REST route.
        url: where the stack is reached, for the example commands.
    """
    info = document["info"]
    lines = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{_text(info['title'])} API</title><style>{STYLE}</style>",
        f"<h1>{_text(info['title'])} API <small class=dim>{_text(info['version'])}</small></h1>",
        *(f"<p>{_rich(paragraph)}</p>" for paragraph in info["description"].split("\n\n")),
        "<p>For programs: <a href=/openapi.json>/openapi.json</a>.</p>",
        *_errors(),
    ]
    for tag in document["tags"]:
        lines.append(f"<h2 id={tag['name']}>{tag['name']}</h2>")
        for path, verbs in document["paths"].items():
            for verb, operation in verbs.items():
                if tag["name"] in operation["tags"]:
                    lines += _operation(path, verb.upper(), operation, url)
    lines += [*_native(native), *_schemas(document["components"]["schemas"]), "</html>", ""]
    return "\n".join(lines)


def _errors() -> Iterator[str]:
    yield "<h2 id=errors>errors</h2><table><tr><th>status<th>meaning"
    yield from (f"<tr><td>{status}<td>{_text(text)}" for status, text in STATUS_MEANING.items())
    yield "</table>"


def _native(methods: Sequence[Method]) -> Iterator[str]:
    yield "<h2 id=native>gRPC only</h2><table><tr><th>method<th>access<th>"
    for method in methods:
        yield f"<tr><td><code>{method.path}</code><td>{method.access}<td>{_rich(method.comment)}"
    yield "</table>"


def _schemas(schemas: Json) -> Iterator[str]:
    yield "<h2 id=schemas>schemas</h2>"
    for name, schema in schemas.items():
        yield f"<h3 id=schema-{name}><code>{name}</code></h3>"
        if "enum" in schema:
            yield from _enum(schema)
            continue
        yield f"<p>{_rich(schema['description'])}</p>"
        yield from _fields(schema["properties"], schema.get("required", []))


def _enum(schema: Json) -> Iterator[str]:
    """The values of an enum with their meaning, which the description gives one after the other."""
    text = schema["description"]
    yield f"<p>{_rich(text.partition(schema['enum'][0])[0])}</p><table>"
    for value, following in zip(schema["enum"], [*schema["enum"][1:], None], strict=True):
        meaning = text.partition(f"{value}: ")[2]
        if following:
            meaning = meaning.partition(f"{following}: ")[0]
        yield f"<tr><td><code>{value}</code><td>{_rich(meaning)}"
    yield "</table>"


def _operation(path: str, verb: str, operation: Json, url: str) -> Iterator[str]:
    sentences = [f"{operation['summary']}.", operation.get("description", "")]
    facts = [
        f"gRPC: <code>{operation['x-grpc']}</code>",
        "needs a write key" if {} not in operation["security"] else "",
        "may be a second old" if "x-max-age-seconds" in operation else "",
    ]
    yield (
        f"<h3 id={operation['operationId']}><span class='verb {verb}'>{verb}</span>"
        f"<code>{_text(path)}</code></h3><p>{_rich(' '.join(sentences))}"
        f"<p class=dim>{' · '.join(filter(None, facts))}"
    )
    if parameters := operation.get("parameters"):
        schemas = {p["name"]: p["schema"] | {"description": p["description"]} for p in parameters}
        yield "<p><b>Parameters</b>"
        yield from _fields(schemas, [p["name"] for p in parameters if p["required"]])
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body and body["schema"]["properties"]:
        yield "<p><b>Body</b>"
        yield from _fields(body["schema"]["properties"], body["schema"].get("required", []))
    yield f"<pre>{_text(_curl(path, verb, operation, url))}</pre>"
    yield from _responses(operation["responses"])


def _responses(responses: Json) -> Iterator[str]:
    yield "<table><tr><th>status<th>response"
    for status, response in responses.items():
        ((content_type, content),) = response["content"].items()
        if status == "200":
            schema = response.get("x-event", content["schema"])
            shown = f"{_shape(schema)} <span class=dim>{content_type}</span>"
        else:
            shown = " ".join(f"<code>{reason}</code>" for reason in response["x-reasons"])
        yield f"<tr><td>{status}<td>{shown}"
    yield "</table>"


def _fields(properties: Json, required: Sequence[str]) -> Iterator[str]:
    yield "<table>"
    for name, schema in properties.items():
        optional = "" if name in required else " <span class=dim>optional</span>"
        meaning = _rich(schema.get("description", ""))
        yield f"<tr><td><code>{name}</code>{optional}<td>{_shape(schema)}<td>{meaning}"
    yield "</table>"


def _shape(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href=#schema-{name}>{name}</a>"
    if schema.get("type") == "array":
        most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list of {_shape(schema.get('items', {}))}{most}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_shape(schema['additionalProperties'])}"
    limits = [f"{word} {schema[key]}" for key, word in _LIMITS.items() if _is_set(schema, key)]
    if "pattern" in schema and "format" not in schema:
        limits.append(f"<code>{_text(schema['pattern'])}</code>")
    return " ".join([str(schema.get("format", schema.get("type", "any"))), *limits])


def _is_set(schema: Json, key: str) -> bool:
    """Whether a limit is one of the contract's rather than the range of the type."""
    return key in schema and schema[key] not in (0, 2**32 - 1, -(2**31), 2**31 - 1)


def _curl(path: str, verb: str, operation: Json, url: str) -> str:
    query = "&".join(
        f"{p['name']}=EUR_USD" for p in operation.get("parameters", []) if p["required"]
    )
    target = f"'{url}{path}{'?' + query if query else ''}'"
    if verb == "GET":
        return f"curl -s {target}"
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    body = json.dumps({name: _EXAMPLES[name] for name in schema["properties"] if name in _EXAMPLES})
    return f"curl -s -H \"authorization: Bearer $(cat .run/keys/write)\" {target} -d '{body}'"


def _text(text: str) -> str:
    return html.escape(text)


def _rich(text: str) -> str:
    """Text with its `code` marked up."""
    pieces = _text(" ".join(text.split())).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces))
