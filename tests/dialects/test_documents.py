"""The dialects as a set: each is found, each has a whole document of its own, and no two claim one call."""

import pytest
from fastapi.routing import APIRoute

from app.dialects import Dialect, discover, openapi

DIALECTS = discover()


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


def test_these_two_are_found() -> None:
    assert {"fifthelement", "immuta"} <= {dialect.name for dialect in DIALECTS}


def test_operation_ids_begin_with_the_dialect_s_name(dialect: Dialect) -> None:
    operations = [op for path in openapi(dialect)["paths"].values() for op in path.values()]
    ids = [op["operationId"] for op in operations]
    assert ids
    assert len(set(ids)) == len(ids)
    assert all(one.startswith(f"{dialect.name}_") for one in ids)


def test_a_document_speaks_only_of_its_own_paths(dialect: Dialect) -> None:
    for path in openapi(dialect)["paths"]:
        assert any(path == p or path.startswith(f"{p}/") for p in dialect.prefixes)


def test_no_two_dialects_answer_one_call() -> None:
    calls = [
        (method, route.path)
        for dialect in DIALECTS
        for route in dialect.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    assert len(set(calls)) == len(calls)


def test_the_two_seeds_calls_are_documented() -> None:
    documents = {dialect.name: openapi(dialect) for dialect in DIALECTS}
    fifth, immuta = documents["fifthelement"], documents["immuta"]
    assert set(fifth["paths"]) == {"/jobs/{id}", "/jobs/{id}/rerun", "/v1/api/jobs/{id}", "/v1/api/jobs/{id}/rerun"}
    read = fifth["paths"]["/jobs/{id}"]["get"]
    assert read["operationId"] == "fifthelement_jobs_get"
    assert {"200", "400", "401", "404"} <= set(read["responses"])
    assert "422" not in read["responses"]
    assert {p["name"] for p in read["parameters"]} == {"id", "x-user-identifier"}
    assert "createdAt" in fifth["components"]["schemas"]["Job"]["properties"]
    assert set(immuta["paths"]) == {"/jobs/statuses", "/bim/apikey/authenticate"}
    statuses = immuta["paths"]["/jobs/statuses"]["post"]
    assert set(immuta["components"]["schemas"]["StatusesRequest"]["properties"]) == {"jobIds", "wait", "pollInterval"}
    assert statuses["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/InvalidBody")
    login = immuta["paths"]["/bim/apikey/authenticate"]["post"]
    assert "security" not in login
    assert statuses["security"]
    # The form is named in words: of two types for one body some generators make what cannot be imported.
    assert set(login["requestBody"]["content"]) == {"application/json"}
    assert "application/x-www-form-urlencoded" in login["requestBody"]["description"]
    assert "HTTPValidationError" not in fifth["components"]["schemas"]


def test_examples_keep_their_nulls() -> None:
    documents = {dialect.name: openapi(dialect) for dialect in DIALECTS}
    statuses = documents["immuta"]["paths"]["/jobs/statuses"]["post"]["responses"]["200"]["content"]
    (entry,) = statuses["application/json"]["example"].values()
    assert entry["output"] is None
    schemas = documents["fifthelement"]["components"]["schemas"]
    assert schemas["JobAnswer"]["examples"][0]["error"] is None
    assert schemas["ErrorAnswer"]["examples"][0]["data"] is None
