"""The committed OpenAPI documents are what the code serves; `make openapi` writes them anew."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli.server import bare_app
from app.main import openapi_documents

FOLDER = Path(__file__).parents[1] / "openapi"
DOCUMENTS = openapi_documents(bare_app())
METHODS = {"get", "put", "post", "delete", "patch"}

FROZEN_OPERATIONS = {
    "claims_create",
    "items_list",
    "items_list_errors",
    "jobs_cancel",
    "jobs_cancel_many",
    "jobs_complete",
    "jobs_create",
    "jobs_create_batch",
    "jobs_delete",
    "events_stream",
    "jobs_events",
    "jobs_fail",
    "jobs_logs",
    "jobs_stream",
    "jobs_get",
    "jobs_get_input",
    "jobs_put_input",
    "jobs_list",
    "jobs_release",
    "jobs_report",
    "jobs_rerun",
    "jobs_rerun_many",
    "jobs_wait",
    "keys_create",
    "keys_get",
    "keys_list",
    "keys_revoke",
    "keys_set_expiry",
    "livez",
    "metrics",
    "projects_create",
    "projects_get",
    "projects_list",
    "queues_get",
    "queues_list",
    "queues_pause",
    "queues_put",
    "queues_resume",
    "readyz",
    "reports_create",
    "sessions_create_code",
}
"""Generated clients are named after these: they may grow in number and never change."""


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_every_face_has_its_committed_document() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(DOCUMENTS)


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_the_committed_document_is_what_the_code_says(name: str) -> None:
    committed = json.loads((FOLDER / f"{name}.json").read_text())
    assert committed == json.loads(json.dumps(DOCUMENTS[name])), "run `make openapi` and read the difference"


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_operation_has_an_id_of_its_own_a_summary_and_declared_answers(name: str) -> None:
    found = operations(DOCUMENTS[name])
    assert found
    ids = [operation["operationId"] for _, operation in found]
    assert len(ids) == len(set(ids))
    for where, operation in found:
        assert operation["summary"], where
        assert any(status.startswith("2") for status in operation["responses"]), where
        if operation.get("security"):
            assert "401" in operation["responses"], where


def test_every_get_with_a_wait_declares_that_it_says_why_the_wait_ended() -> None:
    waits = {
        operation["operationId"]: {
            status
            for status, response in operation["responses"].items()
            if status in ("200", "304") and "Jobtrack-Wait-Ended" in response.get("headers", {})
        }
        for where, operation in operations(DOCUMENTS["native"])
        if where.startswith("get ") and "wait" in {parameter["name"] for parameter in operation.get("parameters", ())}
    }
    assert waits == {"jobs_get": {"200", "304"}, "jobs_logs": {"200"}}


def test_the_native_operation_ids_are_frozen() -> None:
    assert {operation["operationId"] for _, operation in operations(DOCUMENTS["native"])} >= FROZEN_OPERATIONS


async def test_the_service_serves_these_documents(api: httpx.AsyncClient) -> None:
    assert (await api.get("/openapi.json")).json() == json.loads(json.dumps(DOCUMENTS["native"]))
    for name in set(DOCUMENTS) - {"native"}:
        assert (await api.get(f"/dialects/{name}/openapi.json")).json() == json.loads(json.dumps(DOCUMENTS[name]))
