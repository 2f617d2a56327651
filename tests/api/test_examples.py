"""The examples of all documents: well-formed, of every answer and every body, and harmless when sent as shown."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from app.api.examples import ANSWERS, QUEUE, TYPE
from tests.api.example_values import forms
from tests.api.operations import DOCUMENTS, NATIVE, OPERATIONS, Operation, name_of
from tests.conftest import StartService

FORMATS = FormatChecker(formats=())
STREAM = "text/event-stream"
# The example of a log-in has no real key.
REFUSED = {("immuta_apikey_authenticate", 401)}
GONE = {404, 409}
"""What an example may be answered that acts on a job, a key or a project that does not exist, or on a queue in use."""


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(UUID(value)) == value


def examples(holder: Mapping[str, Any]) -> list[Any]:
    """The examples that a media type or a parameter holds itself."""
    several = holder.get("examples", {})
    return [*([holder["example"]] if "example" in holder else []), *(each["value"] for each in several.values())]


def shown(document: str, holder: Mapping[str, Any]) -> list[Any]:
    """The examples of a media type or a parameter, its own or its schema's, as Swagger UI looks for them."""
    schema = holder["schema"]
    return [
        *examples(holder),
        *schema.get("examples", ()),
        *(each for form in forms(document, schema) for each in form.get("examples", ())),
    ]


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Every part of a document that could be a schema with examples."""
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from schemas(child)
    if isinstance(node, dict) and isinstance(node.get("examples"), list):
        yield node


def pairs(document: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every example of a document with its schema."""
    for number, schema in enumerate(schemas(DOCUMENTS[document])):
        for value in schema["examples"]:
            yield f"schema {number} {schema.get('title')}", schema, value
    for operation in (each for each in OPERATIONS if each.document == document):
        for parameter in operation.said.get("parameters", ()):
            for value in examples(parameter):
                yield f"{name_of(operation)} {parameter['name']}", parameter["schema"], value
        for where, content in contents(operation):
            for value in examples(content):
                yield f"{name_of(operation)} {where}", content["schema"], value


def contents(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """What an operation is sent and answered, by status and media type."""
    answers = operation.said["responses"]
    for status, holder in {"body": operation.said.get("requestBody", {}), **answers}.items():
        for kind, content in holder.get("content", {}).items():
            yield f"{status} {kind}", content


def body_of(operation: Operation) -> Any:
    """The body that Swagger UI shows for an operation, or None."""
    content = operation.said.get("requestBody", {}).get("content", {}).get("application/json")
    return None if content is None else shown(operation.document, content)[0]


def url_of(operation: Operation) -> str:
    """The address that Execute calls while nothing has been written."""
    path = operation.path
    for parameter in operation.said.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", quote(str(parameter["example"]), safe=""))
    return path


@pytest.mark.parametrize("document", sorted(DOCUMENTS))
def test_every_example_is_what_its_schema_says(document: str) -> None:
    found = list(pairs(document))
    assert found
    components = {"components": DOCUMENTS[document]["components"]}
    for where, schema, value in found:
        faults = Draft202012Validator({**schema, **components}, format_checker=FORMATS).iter_errors(value)
        assert [f"{where}: {fault.json_path} {fault.message}" for fault in faults] == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_everything_that_is_json_has_an_example(operation: Operation) -> None:
    without = [
        where for where, content in contents(operation) if "json" in where and not shown(operation.document, content)
    ]
    assert without == []


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_every_path_parameter_is_filled_in(operation: Operation) -> None:
    # Swagger UI fills in a parameter's own example, and none of its schema.
    without = [
        each["name"] for each in operation.said.get("parameters", ()) if each["in"] == "path" and "example" not in each
    ]
    assert without == []


def test_the_schema_of_problems_has_one_example_with_all_that_a_client_branches_on() -> None:
    [example] = DOCUMENTS[NATIVE]["components"]["schemas"]["Problem"]["examples"]
    assert example["type"] == f"/docs/problems#{example['code']}"
    assert example["errors"][0]["pointer"] in example["detail"]


def test_an_answer_s_example_has_null_where_its_declaration_leaves_a_field_out() -> None:
    assert "error" not in ANSWERS["JobDetail"]
    [example] = DOCUMENTS[NATIVE]["components"]["schemas"]["JobDetail"]["examples"]
    assert example["error"] is None


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.document == NATIVE], ids=name_of)
def test_example_is_of_the_queue_and_the_type_of_examples(operation: Operation) -> None:
    body, said = body_of(operation) or {}, operation.said
    text = json.dumps(body)
    assert "default" not in text
    for row in [body, *body.get("jobs", ())]:
        assert row.get("type", TYPE) == TYPE
        assert row.get("queue", QUEUE) in (QUEUE, [QUEUE])
        assert row.get("queues", [QUEUE]) == [QUEUE]
    if operation.method == "post" and "dry_run" in next(iter(forms(NATIVE, operation.schema() or {}))).get(
        "properties", {}
    ):
        assert body["dry_run"] is True, said["operationId"]
        assert body["queue"] == [QUEUE], said["operationId"]


async def _state(api: httpx.AsyncClient, job_ids: list[str]) -> list[Any]:
    """What people have: their jobs, keys, projects and the rules of their queue."""
    jobs = [(await api.get(f"/v1/jobs/{job_id}")).json() for job_id in job_ids]
    keys = {key["id"]: key for key in (await api.get("/v1/keys")).json()["keys"]}
    projects = {each["id"]: each for each in (await api.get("/v1/projects")).json()["projects"]}
    rules = (await api.get("/v1/queues/default")).json()
    for key in keys.values():
        key["last_used_at"] = None
    return [jobs, keys, projects, rules["paused"], rules["concurrency_limit"], rules["retention"]]


@pytest.mark.slow
async def test_execute_on_an_unchanged_example_touches_nothing_that_people_have(start_service: StartService) -> None:
    service = await start_service()
    async with service.client() as api:
        made = [(await api.post("/v1/jobs", json={"type": "work"})).json()["id"] for _ in range(4)]
        held, failed, cancelled, _ = made
        leases = {}
        for job_id in (held, failed):
            body = {"worker": "w", "job_ids": [job_id], "lease_seconds": 600}
            leases[job_id] = (await api.post("/v1/claims", json=body)).json()["jobs"][0]["lease"]["token"]
        failure = {"token": leases[failed], "code": "broken", "message": "It broke.", "retryable": False}
        assert (await api.post(f"/v1/jobs/{failed}/fail", json=failure)).json()["status"] == "failed"
        assert (await api.post(f"/v1/jobs/{cancelled}/cancel")).status_code == 200
        before = await _state(api, made)

        answered = {}
        for operation in OPERATIONS:
            name, body = operation.said["operationId"], body_of(operation)
            kinds = operation.said["responses"].get("200", {}).get("content", {})
            if STREAM in kinds or (body is None and operation.said.get("requestBody", {}).get("required")):
                continue  # Execute is not there, or asks for a file first
            answer = await api.request(operation.method, url_of(operation), json=body)
            answered[name] = answer.status_code
            assert answer.is_success or answer.status_code in GONE or (name, answer.status_code) in REFUSED, answer.text
        assert answered["jobs_create"] == 201
        assert answered["jobs_rerun_many"] == 200
        after = await _state(api, made)

    assert after[0] == before[0]
    for place in (1, 2):
        assert {name: after[place][name] for name in before[place]} == before[place]
    assert after[3:] == before[3:]
