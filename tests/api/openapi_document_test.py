#!/usr/bin/env python3
"""The API document is OpenAPI 3.1, and a broken one would be noticed.

    openapi_document_test.py DOCUMENT            by our rules (openapi_rules.py): everywhere
    openapi_document_test.py DOCUMENT validator  by openapi-spec-validator, where it is installed

Debian packs the validator from 13 on (python3-openapi-spec-validator), not in 12. Where it is not installed the
second form ends with 77, which CTest shows as skipped. Both need python3-jsonschema.
"""

import copy
import json
import pathlib
import sys
import unittest

import openapi_rules

SKIPPED = 77


def by_our_rules(document):
    return openapi_rules.faults(document)


def by_the_validator(document):
    from openapi_spec_validator import OpenAPIV31SpecValidator
    try:
        return [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]
    except Exception as error:  # a reference that leads nowhere is thrown, not told
        return [repr(error)]


def get(document):
    return document["paths"]["/get"]["get"]


# Each breaks a good document in one place.
BREAKAGES = {
    "another version": lambda d: d.update(openapi="2.0"),
    "no title": lambda d: d["info"].pop("title"),
    "an unknown field": lambda d: d.update(path={}),
    "an operation with an unknown field": lambda d: get(d).update(operationID="get"),
    "a repeated operationId": lambda d: get(d).update(operationId="put"),
    "a path without a slash": lambda d: d["paths"].update(get=d["paths"]["/get"]),
    "a parameter without a place": lambda d: get(d)["parameters"][0].pop("in"),
    "a status that is none": lambda d: get(d)["responses"].update({"20": {"description": "x"}}),
    "an answer without a description": lambda d: get(d)["responses"]["200"].pop("description"),
    "a description that is no text": lambda d: get(d).update(description=["x"]),
    "a reference to nothing": lambda d: get(d)["responses"].update(
        {"401": {"$ref": "#/components/responses/Nobody"}}),
    "a schema of an unknown type": lambda d: d["components"]["schemas"]["Error"].update(type="objekt"),
    "a schema whose required is no list": lambda d: d["components"]["schemas"]["Error"].update(
        required="status"),
    "a schema that refers to nothing": lambda d: d["components"]["schemas"]["Error"]["properties"].update(
        status={"$ref": "#/components/schemas/Nobody"}),
    "a tag that is not declared": lambda d: get(d).update(tags=["nobody"]),
    "a security scheme that is not declared": lambda d: get(d).update(security=[{"nobody": []}]),
}
# The validator lets these pass (0.7, Debian 13's; 0.9 sees the first of them).
BEYOND_THE_VALIDATOR = {"a schema of an unknown type", "a tag that is not declared",
                        "a security scheme that is not declared"}


def no_member_twice(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a member is repeated: {names}"
    return dict(pairs)


class Document(unittest.TestCase):
    path, judge, beyond = "", staticmethod(by_our_rules), set()  # set by main

    def setUp(self):
        self.text = pathlib.Path(self.path).read_text()
        self.document = json.loads(self.text)

    def test_it_is_valid(self):
        self.assertEqual(self.judge(self.document), [])

    def test_no_object_has_a_member_twice(self):
        json.loads(self.text, object_pairs_hook=no_member_twice)

    def test_a_broken_one_is_not(self):
        for name in BREAKAGES.keys() - self.beyond:
            with self.subTest(name):
                broken = copy.deepcopy(self.document)
                BREAKAGES[name](broken)
                self.assertNotEqual(broken, self.document)
                self.assertNotEqual(self.judge(broken), [])


if __name__ == "__main__":
    if sys.argv[2:] == ["validator"]:
        sys.argv.pop()
        try:
            import openapi_spec_validator  # noqa: F401
        except ImportError:
            print("SKIPPED: python3-openapi-spec-validator is not installed (Debian has it from 13 on)")
            sys.exit(SKIPPED)
        Document.judge = staticmethod(by_the_validator)
        Document.beyond = BEYOND_THE_VALIDATOR
    Document.path = sys.argv.pop(1)
    unittest.main(verbosity=2)
