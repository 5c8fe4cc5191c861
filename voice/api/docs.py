"""The OpenAPI document, and the same as a page that needs no script of anybody's."""

import re
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from voice.api.app import openapi_document

_METHODS = ("post", "get", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    required: bool
    about: str


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    about: SafeString
    needs_key: bool
    parameters: list[Field]
    media_type: str
    fields: list[Field]
    answer_name: str
    answer: list[Field]
    statuses: list[str]


@require_safe
def document(request: HttpRequest) -> HttpResponse:
    answer = JsonResponse(openapi_document())
    # Anybody's tools may read it; there is nothing in it but what is on the page.
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    sections: dict[str, list[Operation]] = {}
    whole = openapi_document()
    for path, methods in whole["paths"].items():
        for method in _METHODS:
            if method in methods:
                each = methods[method]
                sections.setdefault(each["tags"][0], []).append(_operation(whole, path, method, each))
    context = {
        "title": whole["info"]["title"],
        "sections": sections,
        "address": f"{request.scheme}://{request.get_host()}",
    }
    return render(request, "voice/api_docs.html", context)


def _operation(whole: dict[str, Any], path: str, method: str, each: dict[str, Any]) -> Operation:
    media_type, body = _content(each.get("requestBody", {}))
    _, answer = _content(next((each["responses"][code] for code in each["responses"] if int(code) < 300), {}))
    return Operation(
        id=each["operationId"],
        method=method.upper(),
        path=path,
        summary=each["summary"],
        about=_prose(each.get("description", "")),
        needs_key="security" in each and {} not in each["security"],
        parameters=[
            Field(
                f"{each['name']} ({each['in']})",
                _type(whole, each["schema"]),
                each["required"],
                each.get("description", ""),
            )
            for each in each.get("parameters", [])
        ],
        media_type=media_type,
        fields=_fields(whole, body),
        answer_name=_name(answer),
        answer=_fields(whole, answer),
        statuses=[str(code) for code in each["responses"]],
    )


def _prose(text: str) -> SafeString:
    """Return paragraphs of HTML of a docstring's text, with what stands between backticks as code."""
    html = "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part)
    return mark_safe(re.sub("`([^`]*)`", r"<code>\1</code>", html))  # escaped above


def _content(part: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    for media_type, content in part.get("content", {}).items():
        return media_type, content.get("schema", {})
    return "", {}


def _fields(whole: dict[str, Any], schema: dict[str, Any]) -> list[Field]:
    schema = _resolved(whole, schema)
    required = schema.get("required", [])
    return [
        Field(name, _type(whole, each), name in required, each.get("description", ""))
        for name, each in schema.get("properties", {}).items()
    ]


def _type(whole: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        resolved = _resolved(whole, schema)
        return _name(schema) if "properties" in resolved else _type(whole, resolved)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(whole, each) for each in schema[several]))
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_type(whole, schema.get('items', {}))}"
    bounds = [f"from {schema['minimum']}"] if "minimum" in schema else []
    bounds += [f"to {schema['maximum']}"] if "maximum" in schema else []
    bounds += [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
    return " ".join([str(schema.get("type", "anything")), *bounds])


def _resolved(whole: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = whole["components"]["schemas"][_name(schema)]
    return schema


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]
