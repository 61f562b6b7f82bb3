"""The rules of OpenAPI 3.1 that src/api/openapi.json can break, and a check of a document by them.

Written from the specification (version 3.1.0, section 4.8) for the objects that the document uses; another
object in it is a fault until it has its row here. Schemas are judged by JSON Schema's own meta-schema, draft
2020-12, which is the dialect of OpenAPI 3.1.
"""

import re

import jsonschema

# The fields of each object: name to kind, "!" for a required one. A kind is a plain one (PLAIN), another object,
# "[kind]" for a list, "{kind}" for a map. Every object may have fields of its own that begin with "x-".
OBJECTS = {
    "document": {"openapi!": "text", "info!": "info", "servers": "[server]", "paths!": "paths",
                 "components": "components", "security": "[requirement]", "tags": "[tag]"},
    "info": {"title!": "text", "version!": "text", "summary": "text", "description": "text",
             "license": "license"},
    "license": {"name!": "text", "identifier": "text", "url": "text"},
    "server": {"url!": "text", "description": "text"},
    "tag": {"name!": "text", "description": "text"},
    "path": {"summary": "text", "description": "text", "parameters": "[parameter]",
             **dict.fromkeys(("get", "put", "post", "delete", "options", "head", "patch", "trace"),
                             "operation")},
    "operation": {"tags": "[text]", "summary": "text", "description": "text", "operationId": "text",
                  "parameters": "[parameter]", "requestBody": "body", "responses!": "responses",
                  "deprecated": "flag", "security": "[requirement]"},
    "parameter": {"name!": "text", "in!": "place", "description": "text", "required": "flag",
                  "deprecated": "flag", "schema!": "schema", "examples": "{example}"},
    "body": {"description": "text", "content!": "{media}", "required": "flag"},
    "media": {"schema": "schema", "examples": "{example}"},
    "response": {"description!": "text", "headers": "{header}", "content": "{media}"},
    "header": {"description": "text", "required": "flag", "schema!": "schema"},
    "example": {"summary": "text", "description": "text", "value!": "any"},
    "components": {"schemas": "{schema}", "responses": "{response}", "headers": "{header}", "examples": "{example}",
                   "securitySchemes": "{scheme}"},
    "scheme": {"type!": "text", "description": "text", "scheme": "text", "bearerFormat": "text"},
    "reference": {"$ref!": "text", "summary": "text", "description": "text"},
}
REFERABLE = {"parameter", "body", "response", "header", "example", "scheme"}
PLAIN = {"any": lambda value: True,
         "text": lambda value: isinstance(value, str),
         "flag": lambda value: isinstance(value, bool),
         "place": lambda value: value in ("query", "header", "path", "cookie")}
MAPS = {"paths": ("path", r"/.*"), "responses": ("response", r"[1-5](\d\d|XX)|default")}
NAME = r".+"


class Check:
    """Collects the faults of one document."""

    def __init__(self, document):
        self.document, self.faults = document, []
        self.operations, self.tags_used, self.schemes_used = [], set(), set()
        if not re.fullmatch(r"3\.1\.\d+", str(document.get("openapi"))):
            self.fault("openapi", "no version 3.1")
        self.judge(document, "document", "")
        for operation in {o for o in self.operations if self.operations.count(o) > 1}:
            self.fault("paths", f"operationId {operation} is repeated")
        for tag in self.tags_used - {tag.get("name") for tag in document.get("tags", [])}:
            self.fault("tags", f"{tag} is not declared")
        for scheme in self.schemes_used - set(document.get("components", {}).get("securitySchemes", {})):
            self.fault("security", f"{scheme} is not declared")

    def fault(self, at, what):
        self.faults.append(f"{at or 'document'}: {what}")

    def judge(self, value, kind, at):
        if kind in PLAIN:
            if not PLAIN[kind](value):
                self.fault(at, f"is no {kind}")
        elif kind[0] == "[":
            if not isinstance(value, list):
                return self.fault(at, "is no list")
            for number, each in enumerate(value):
                self.judge(each, kind[1:-1], f"{at}/{number}")
        elif kind[0] == "{":
            self.judge_map(value, kind[1:-1], NAME, at)
        elif kind in MAPS:
            self.judge_map(value, *MAPS[kind], at)
        elif kind == "schema":
            self.judge_schema(value, at)
        elif kind == "requirement":
            self.judge_map(value, "[text]", NAME, at)
            self.schemes_used |= set(value)
        elif isinstance(value, dict) and "$ref" in value and kind in REFERABLE:
            self.judge_object(value, "reference", at)
            self.resolve(value["$ref"], at)
        else:
            self.judge_object(value, kind, at)

    def judge_map(self, value, kind, names, at):
        if not isinstance(value, dict):
            return self.fault(at, "is no map")
        for name, each in value.items():
            if not re.fullmatch(names, name):
                self.fault(at, f"has no such entry: {name}")
            self.judge(each, kind, f"{at}/{name}")

    def judge_object(self, value, kind, at):
        if not isinstance(value, dict):
            return self.fault(at, f"is no {kind}")
        fields = {name.removesuffix("!"): kind_of for name, kind_of in OBJECTS[kind].items()}
        for name in OBJECTS[kind]:
            if name.endswith("!") and name[:-1] not in value:
                self.fault(at, f"{name[:-1]} is missing")
        for name, each in value.items():
            if name in fields:
                self.judge(each, fields[name], f"{at}/{name}")
            elif not name.startswith("x-"):
                self.fault(at, f"has no such field: {name}")
        if kind == "operation":
            self.operations.append(value.get("operationId"))
            self.tags_used |= set(value.get("tags", []))

    def judge_schema(self, schema, at):
        for error in jsonschema.Draft202012Validator(
                jsonschema.Draft202012Validator.META_SCHEMA).iter_errors(schema):
            self.fault(at, error.message)
        self.resolve_all(schema, at)

    def resolve_all(self, schema, at):
        if isinstance(schema, dict):
            if isinstance(schema.get("$ref"), str):
                self.resolve(schema["$ref"], at)
            for name, each in schema.items():
                self.resolve_all(each, f"{at}/{name}")
        elif isinstance(schema, list):
            for each in schema:
                self.resolve_all(each, at)

    def resolve(self, reference, at):
        found = self.document
        try:
            for step in str(reference).removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
        except (KeyError, TypeError):
            self.fault(at, f"refers to nothing: {reference}")


def faults(document):
    """What is wrong in it; an empty list if nothing is."""
    return Check(document).faults
