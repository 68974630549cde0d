"""JSON schemas whose references lead in circles."""

from __future__ import annotations

import pytest

from sgcx.responses.constraint import AnyObject, SchemaObject
from sgcx.responses.prompt import request_constraint
from sgcx.responses.request import parse_request

LOOP = {"$ref": "#/$defs/loop"}
"""In the schemas below it leads to itself."""
CIRCULAR = [
    {"$ref": "#"},
    {"$defs": {"loop": {"$ref": "#/$defs/on"}, "on": {"anyOf": [LOOP]}}, **LOOP},
    {"$defs": {"loop": LOOP}, "properties": {"x": {"type": ["null", "array"], "items": LOOP}}},
    {"$defs": {"loop": {"allOf": [{"type": "object"}, LOOP]}}, "oneOf": [{"type": "null"}, {"not": LOOP}]},
]
STRAIGHT = [
    {"type": "object", "properties": {"child": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}},
    {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    {"$ref": "#/$defs/a~1b%20/0", "$defs": {"a/b ": [{"type": "string"}]}},
    {"properties": {"$ref": {"type": "string"}, "x": {"$ref": "#/nowhere"}, "y": {"$ref": "https://example.com/#"}}},
    {"$ref": "#/$defs/a0", "$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(90)}},
]


@pytest.mark.parametrize(("schema", "circular"), [*((s, True) for s in CIRCULAR), *((s, False) for s in STRAIGHT)])
def test_a_schema_whose_references_lead_in_circles_binds_nothing_and_is_reported(schema, circular):
    tool = {"type": "function", "name": "f", "strict": True, "parameters": schema}
    form = {"format": {"type": "json_schema", "name": "s", "schema": schema}}
    request = parse_request({"input": "hi", "tools": [tool], "text": form})
    constraint = request_constraint(request)
    assert isinstance(constraint.tools[0].arguments, AnyObject if circular else SchemaObject)
    assert constraint.answer_schema == ({} if circular else schema)
    reported = [entry.partition(":")[0] for entry in request.ignored]
    assert reported == (["schema of f", "schema of the answer"] if circular else [])
