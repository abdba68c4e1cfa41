"""The OpenAPI description of a service: FastAPI's for the reads, and the commands from their declarations."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from chassis.commands import ONLY_INBOUND, Commands, Declared
from chassis.problems import MEDIA_TYPE

_REFS = "#/components/schemas/{model}"
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `type` ends with the problem's name; docs/problems.md lists them.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "trace_id": {"type": "string"},
        "current": {"type": "object", "description": "With 412: how it stands now; its version is the `ETag`."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
_HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "The edit version; send it as `If-Match`."},
    "Throughline-Position": {
        "schema": {"type": "string"},
        "description": "Send it with a read elsewhere, and the read waits until it is heard there.",
    },
}


def install(app: FastAPI, commands: Commands) -> None:
    """Let the app describe its commands too."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app, commands)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def document(app: FastAPI, commands: Commands) -> dict[str, Any]:
    """The whole description."""
    found = get_openapi(title=app.title, version=app.version, routes=app.routes)
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for path in found.setdefault("paths", {}).values():
        for operation in path.values():
            operation["security"] = [{"bearer": []}]
            operation["responses"]["default"] = _problem()
            operation["responses"].pop("422", None)
    for declared in commands:
        operation = _operation(declared, schemas)
        found["paths"].setdefault(commands.prefix + declared.path, {})[declared.method.lower()] = operation
    found["paths"] = dict(sorted(found["paths"].items()))
    found["components"]["schemas"] = dict(sorted(schemas.items()))
    return found


def _operation(declared: Declared, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = declared.model.model_json_schema(ref_template=_REFS)
    schemas.update(schema.pop("$defs", {}))
    for name in (*ONLY_INBOUND, *(name for name in declared.names if name in declared.model.model_fields)):
        schema.get("properties", {}).pop(name, None)
    schema["required"] = [name for name in schema.get("required", ()) if name in schema.get("properties", {})]
    name = declared.model.__name__
    schemas[name] = schema
    summary, _, rest = (declared.model.__doc__ or name).partition("\n")
    return {
        "operationId": name,
        "summary": summary.strip().rstrip("."),
        "description": f"{rest.strip()}\n\nNeeds the scope `{declared.scope}`.".strip(),
        "security": [{"bearer": [declared.scope]}],
        "parameters": _parameters(declared),
        "requestBody": {
            "required": bool(schema["required"]),
            "content": {"application/json": {"schema": {"$ref": _REFS.format(model=name)}}},
        },
        "responses": {
            str(declared.status): {
                "description": "Done; repeated with the same key it is answered again, unchanged.",
                "headers": _HEADERS,
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            "default": _problem(),
        },
    }


def _parameters(declared: Declared) -> list[dict[str, Any]]:
    uuid, text = {"type": "string", "format": "uuid"}, {"type": "string"}
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": uuid if name == "subject" else text}
        for name in declared.names
    ]
    found.append({"name": "Idempotency-Key", "in": "header", "required": True, "schema": {**text, "maxLength": 255}})
    if not declared.creates:
        found.append({"name": "If-Match", "in": "header", "required": declared.if_match, "schema": text})
        found.append({"name": "Prefer", "in": "header", "required": False, "schema": {**text, "example": "wait=5"}})
    return found


def _problem() -> dict[str, Any]:
    return {
        "description": "Problem",
        "content": {MEDIA_TYPE: {"schema": {"$ref": _REFS.format(model="Problem")}}},
    }
