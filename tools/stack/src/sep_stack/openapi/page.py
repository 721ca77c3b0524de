"""The document as one page without scripts, which a browser shows without a network."""

import html
import json
from collections.abc import Iterator, Sequence
from typing import Any

from sep_stack.contract import Method

Json = dict[str, Any]

_STYLE = """
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


def render_page(document: Json, native: Sequence[Method]) -> str:
    """The page, in HTML."""
    info = document["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{_text(info['title'])} API</title><style>{_STYLE}</style>",
        f"<h1>{_text(info['title'])} API <small class=dim>{_text(info['version'])}</small></h1>",
        *(f"<p>{_rich(block)}</p>" for block in info["description"].split("\n\n")),
        "<p>The same for programs: <a href=/openapi.json>/openapi.json</a>.</p>",
    ]
    for tag in document["tags"]:
        parts.append(f"<h2 id={tag['name']}>{tag['name']}</h2>")
        for path, verbs in document["paths"].items():
            for verb, operation in verbs.items():
                if tag["name"] in operation["tags"]:
                    parts += _operation(path, verb.upper(), operation)
    parts.append("<h2 id=native>gRPC alone</h2><table><tr><th>method<th>access<th>")
    parts += [f"<tr><td><code>{m.path}</code><td>{m.access}<td>{_rich(m.comment)}" for m in native]
    parts.append("</table><h2 id=schemas>schemas</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f"<h3 id=schema-{name}><code>{name}</code></h3>")
        parts.append(f"<p>{_rich(schema.get('description', ''))}</p>")
        if "properties" in schema:
            parts += _fields(schema["properties"], schema.get("required", []))
        else:
            parts += [f"<p>{_shape(schema)}</p>"]
    return "\n".join([*parts, "</html>", ""])


def _operation(path: str, verb: str, operation: Json) -> Iterator[str]:
    yield (
        f"<h3 id={operation['operationId']}><span class='verb {verb}'>{verb}</span>"
        f"<code>{_text(path)}</code></h3><p>{_rich(operation['summary'])}."
        + (
            f" {_rich(operation['description'])}"
            if operation["description"] != operation["summary"]
            else ""
        )
        + f"<p class=dim>gRPC: <code>{operation['x-grpc']}</code>"
        + (" · needs a write key" if {} not in operation["security"] else "")
        + (" · may be a second old" if "x-max-age-seconds" in operation else "")
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if operation.get("parameters"):
        named = {p["name"]: p["schema"] | {"description": p["description"]}
                 for p in operation["parameters"]}  # fmt: skip
        yield "<p><b>Parameters</b>"
        yield from _fields(named, [p["name"] for p in operation["parameters"] if p["required"]])
    if body and body["schema"]["properties"]:
        yield "<p><b>Body</b>"
        yield from _fields(body["schema"]["properties"], body["schema"].get("required", []))
    yield f"<pre>{_text(_curl(path, verb, operation))}</pre>"
    yield "<table><tr><th>status<th>answer"
    for status, response in operation["responses"].items():
        ((kind, content),) = response["content"].items()
        told = (
            _shape(response.get("x-event", content["schema"])) + f" <span class=dim>{kind}</span>"
            if status == "200"
            else _rich(response["description"])
        )
        yield f"<tr><td>{status}<td>{told}"
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
        return f"list of {_shape(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_shape(schema['additionalProperties'])}"
    if "enum" in schema:
        return " ".join(f"<code>{value}</code>" for value in schema["enum"])
    limits = [f"{word} {schema[key]}" for key, word in _LIMITS.items() if key in schema]
    if "pattern" in schema and "format" not in schema:
        limits.append(f"<code>{_text(schema['pattern'])}</code>")
    return " ".join([str(schema.get("format", schema.get("type", "any"))), *limits])


_LIMITS = {"minLength": "at least", "maxLength": "at most", "maximum": "up to"}


def _curl(path: str, verb: str, operation: Json) -> str:
    query = "&".join(
        f"{p['name']}=EUR_USD" for p in operation.get("parameters", []) if p["required"]
    )
    url = f"'localhost:8000{path}{'?' + query if query else ''}'"
    if verb == "GET":
        return f"curl -s {url}"
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    body = json.dumps({name: _EXAMPLES[name] for name in schema["properties"] if name in _EXAMPLES})
    return f"curl -s -H \"authorization: Bearer $(cat .run/keys/write)\" {url} -d '{body}'"


_EXAMPLES: Json = {
    "dry_run": True,
    "kill_switch": True,
    "reason": "maintenance",
    "instruments": ["EUR_USD"],
    "granularity": "M1",
    "count": 500,
}


def _text(text: str) -> str:
    return html.escape(text)


def _rich(text: str) -> str:
    """Text with its `code` shown as such."""
    pieces = _text(" ".join(text.split())).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(pieces))
