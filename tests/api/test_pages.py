"""What a browser gets."""

import re

import httpx
import pytest

import app.main  # noqa: F401 - with it every error is defined
from app.dashboard.problem_help import HELP
from app.domain.errors import JobtrackError
from app.web.problems import TITLES
from tests.service_process import ServiceProcess


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/problems"])
async def test_page_has_no_inline_script(service: ServiceProcess, path: str) -> None:
    async with httpx.AsyncClient(base_url=service.url) as browser:
        page = await browser.get(path)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "script-src 'self';" in page.headers["content-security-policy"]
        assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|style=", page.text)
        for link in re.findall(r'(?:href|src|data-url)="(/[^"#]*)"', page.text):
            assert (await browser.get(link)).status_code == 200, link


async def test_swagger_ui_is_told_to_store_no_key(service: ServiceProcess) -> None:
    # What a browser really keeps, test_swagger_ui.py looks at where there is one.
    async with httpx.AsyncClient(base_url=service.url) as browser:
        assert "persistAuthorization: false," in (await browser.get("/static/docs.js")).text


def test_every_code_has_a_title_and_says_its_cause_and_what_to_do() -> None:
    pending, codes = [JobtrackError], set[str]()
    for kind in pending:
        pending.extend(kind.__subclasses__())
        codes.add(kind.code)
    assert codes == set(TITLES) == set(HELP)
    for code, (cause, remedy) in HELP.items():
        assert cause != TITLES[code]
        assert cause.endswith("."), code
        assert remedy.endswith("."), code


async def test_page_of_problems_has_each_code_as_a_place_of_its_own(service: ServiceProcess) -> None:
    async with httpx.AsyncClient(base_url=service.url) as browser:
        page = (await browser.get("/docs/problems")).text
    assert re.findall(r'<section id="(\w+)">', page) == list(TITLES)
    assert page.count("What to do:") == len(TITLES)


async def test_documents_are_served_without_a_key(service: ServiceProcess) -> None:
    async with httpx.AsyncClient(base_url=service.url) as browser:
        native = (await browser.get("/openapi.json")).json()
        assert native["openapi"].startswith("3.1")
        assert "/v1/jobs" in native["paths"]
        assert (await browser.get("/dialects/native/openapi.json")).status_code == 404
        assert (await browser.get("/dialects/nobody/openapi.json")).status_code == 404


async def test_every_operation_is_described(service: ServiceProcess) -> None:
    async with httpx.AsyncClient(base_url=service.url) as browser:
        document = (await browser.get("/openapi.json")).json()
    text = str(document)
    assert "HTTPValidationError" not in text
    for name in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert name in document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["operationId"]
            assert operation["summary"]
            assert operation["tags"]
            if "application/json" in operation.get("requestBody", {}).get("content", {}):
                assert "examples" in operation["requestBody"]["content"]["application/json"]["schema"] or (
                    operation["operationId"] == "jobs_rerun"
                )
