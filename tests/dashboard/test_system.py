"""The page of the system: all of it for an operator, the version and the feed for everybody, secrets for nobody."""

import re

import httpx
import pytest

from app.dashboard.system.views import feed_facts, installation_facts
from app.domain.installation import FeedState, Installation, Storage
from app.version import running_version
from tests.conftest import StartService
from tests.dashboard.conftest import sign_in, visitor
from tests.service_process import ServiceProcess

SECRET = "a-bootstrap-key-that-nobody-may-see-0123456789"


async def test_operator_sees_the_installation(reader: httpx.AsyncClient) -> None:
    page = (await reader.get("/ui/system")).text
    assert f"Jobtrack {running_version()}" in page
    assert re.search(r"<dt>PostgreSQL</dt><dd>1[5-8]", page)
    assert "what this version needs." in page
    assert "Nothing is left to be deleted." in page
    assert "<code>browser_sessions</code>" in page
    assert 'id="setting-JOBTRACK_MAX_QUEUES"' in page


async def test_settings_are_shown_with_their_origin_and_without_secrets(
    start_service: StartService, database_url: str
) -> None:
    service = await start_service(
        JOBTRACK_BOOTSTRAP_KEY=SECRET,
        JOBTRACK_DATABASE_URL=database_url.replace("@/", ":hunter2@/"),
        JOBTRACK_MAX_QUEUES="77",
    )
    async with visitor(service) as browser:
        await sign_in(browser, SECRET)
        page = (await browser.get("/ui/system")).text
    assert SECRET not in page
    assert "hunter2" not in page

    def row(name: str) -> str:
        [found] = re.findall(rf'<tr id="setting-{name}">.*?</tr>', page, re.DOTALL)
        return re.sub(r"<[^>]*>", " ", str(found))

    assert re.search(r"77\s+environment JOBTRACK_MAX_QUEUES", row("JOBTRACK_MAX_QUEUES"))
    assert re.search(r"\*\*\*\s+environment JOBTRACK_BOOTSTRAP_KEY", row("JOBTRACK_BOOTSTRAP_KEY"))
    assert re.search(r"\*\*\*@.*environment JOBTRACK_DATABASE_URL", row("JOBTRACK_DATABASE_URL"))
    assert re.search(r"\d+\s+option --port", row("JOBTRACK_PORT")), "what the command line says goes before the rest"
    assert re.search(r"not set\s+default", row("JOBTRACK_PUBLIC_URL"))


@pytest.mark.parametrize("scope", ["read", "admin"])
async def test_other_keys_see_version_feed_and_their_project(
    service: ServiceProcess, api: httpx.AsyncClient, scope: str
) -> None:
    project = (await api.post("/v1/projects", json={"name": "tenant <b>"})).json()["id"]
    made = await api.post("/v1/keys", json={"name": "k", "scopes": [scope], "project_id": project})
    async with visitor(service) as browser:
        await sign_in(browser, made.json()["key"])
        page = (await browser.get("/ui/system")).text
    assert f"Jobtrack {running_version()}" in page
    assert "tenant &lt;b&gt;" in page
    assert "The feed" in page
    for hidden in ("JOBTRACK_", "browser_sessions", "PostgreSQL", "Schema", "Retention"):
        assert hidden not in page, hidden


def test_what_is_not_well_says_its_cure() -> None:
    deaf = feed_facts(FeedState(listens=False, lag_seconds=75, is_held_up=True))
    assert [fact.state for fact in deaf] == ["warn", "bad"]
    assert "JOBTRACK_LISTEN_URL" in deaf[0].sentence
    assert "1 min 15 s behind" in deaf[1].sentence
    old = Installation(("0001",), False, Storage("18.0", 1, 10_000), (), has_aged=True, free_bytes=None)
    facts = {fact.name: fact for fact in installation_facts(old, {"database": "It is away."})}
    assert facts["Ready"].sentence == "It is away."
    assert "jobtrack migrate" in facts["Schema"].sentence
    assert "10,000+ jobs are to be cleared away" in facts["Retention"].sentence
