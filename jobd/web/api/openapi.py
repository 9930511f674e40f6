"""The OpenAPI 3.1 document, made of the table: what it says is what is served. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from jobd import __version__
from jobd.web.api.endpoint import Endpoint, Nothing
from jobd.web.api.kinds import NAME_PATTERN
from jobd.web.api.problems import MEDIA_TYPE, Problem
from jobd.web.auth.gatekeeper import CSRF_HEADER

_REF = "#/components/schemas/{name}"
_NAME = {"type": "string", "pattern": NAME_PATTERN}
_PROBLEMS = {
    "400": "The request makes no sense as it is.",
    "401": "Nobody is logged in.",
    "403": "Whoever is logged in may not do this, or the request was not sent on purpose.",
    "404": "There is no such thing.",
    "503": "Redis does not answer, or too much is under way here.",
}
_OF_ACTIONS = {
    "409": "What there is forbids it.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "429": "Too much is under way.",
}
_SECURITY = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "jobd",
        "description": "What POST /login sets. Its name goes on with a digest of the namespace, and begins "
        "with __Host- behind TLS.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "With a session, of whatever is not GET: what GET /session gives as `csrf`.",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of [web.dashboard], for programs.",
    },
}
_ABOUT = """Background jobs: queues, jobs, schedules, alerts, hosts.

Times are milliseconds since 1970 by Redis' clock where a name ends in `_at` or `_ms`; spans are seconds \
unless they end in `_ms`. GET needs the role viewer, everything else operator. An error is a problem \
document: `code` is stable and meant for programs. A client should ignore fields that it does not know."""


def document(table: Sequence[Endpoint], server: str = "/api/v1") -> dict[str, Any]:
    """Make the document. `server` is where the paths begin."""
    answers, bodies, components = _schemas(table)
    paths: dict[str, dict[str, Any]] = {}
    for each in table:
        described = _operation(each, answers[each.name], bodies.get(each.name))
        paths.setdefault(each.path, {})[each.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "jobd", "version": __version__, "description": _ABOUT},
        "servers": [{"url": server}],
        "security": [{"session": []}, {"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in table)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": _SECURITY,
        },
    }


def _schemas(table: Sequence[Endpoint]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Give the schemas of answers and of bodies, by endpoint, and the parts that they refer to."""
    # All in one call: of two types with one name each gets another then.
    with_body = [each for each in table if each.body is not None]
    types = [*(each.answer for each in table), *(each.body for each in with_body), Problem]
    found, parts = msgspec.json.schema_components(types, ref_template=_REF)
    answers = {each.name: schema for each, schema in zip(table, found, strict=False)}
    bodies = {each.name: one for each, one in zip(with_body, found[len(table) :], strict=False)}
    return answers, bodies, parts


def _operation(
    each: Endpoint, answer: dict[str, Any], body: dict[str, Any] | None
) -> dict[str, Any]:
    problems = _PROBLEMS | (_OF_ACTIONS if each.is_action else {})
    described: dict[str, Any] = {
        "operationId": each.name,
        "tags": [each.tag],
        "summary": each.summary,
        "x-role": each.role,
        **({"security": [{"session": [], "csrf": []}, {"token": []}]} if each.is_action else {}),
        "parameters": [*_of_path(each.path), *_of_query(each.query)],
        "responses": {
            str(each.status): {
                "description": "Done." if each.is_action else "What was asked for.",
                "content": {"application/json": {"schema": answer}},
            },
            **{status: _problem(words) for status, words in sorted(problems.items())},
            "default": _problem("Any other problem."),
        },
    }
    if body is not None and each.body is not None:
        is_needed = any(field.required for field in msgspec.structs.fields(each.body))
        described["requestBody"] = {
            "required": is_needed,
            "content": {"application/json": {"schema": body}},
        }
    return described


def _problem(words: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name="Problem")}
    return {"description": words, "content": {MEDIA_TYPE: {"schema": schema}}}


def _of_path(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield {"name": name, "in": "path", "required": True, "schema": _NAME}


def _of_query(query: type[msgspec.Struct]) -> Iterable[dict[str, Any]]:
    if query is Nothing:
        return
    _, components = msgspec.json.schema_components([query], ref_template=_REF)
    schema = components[query.__name__]
    for name, described in schema["properties"].items():
        kind = {key: value for key, value in described.items() if key != "description"}
        if options := [one for one in kind.pop("anyOf", ()) if one != {"type": "null"}]:
            kind |= options[0] if len(options) == 1 else {"anyOf": options}
        if kind.get("default", "") is None:
            del kind["default"]
        parameter = {"name": name, "in": "query", "schema": kind}
        if words := described.get("description"):
            parameter["description"] = words
        if name in schema.get("required", ()):
            parameter["required"] = True
        yield parameter
