"""The page of keys: what each may in words, a new key that is shown once, and how keys end."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.dashboard.keys.views import words_of
from app.domain.principal import Scope
from tests.conftest import StartService
from tests.dashboard.conftest import sign_in, visitor
from tests.service_process import ServiceProcess

KEY = re.compile(r"jt_\w+")
HOSTILE = """<script>alert(1)</script>"'&"""


async def change(reader: httpx.AsyncClient, path: str, **form: Any) -> httpx.Response:
    """Send a form as htmx does."""
    return await reader.post(f"/ui/keys/{path}", data=form, headers={"HX-Request": "true"})


async def test_new_key_is_shown_once_and_works(
    service: ServiceProcess, api: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    name = f"{uuid4().hex} {HOSTILE}"
    form = {"name": name, "scopes": ["read", "submit"], "queues": "docs\r\n a b \r\n\r\n", "for": "2592000"}
    made = await change(reader, "create", **form)
    assert made.status_code == 200, made.text
    assert made.headers["cache-control"] == "no-store"
    assert made.headers["hx-trigger"] == "keys-changed"
    assert "<script>" not in made.text
    [secret] = set(KEY.findall(made.text))
    async with service.client() as other:
        other.headers["Authorization"] = f"Bearer {secret}"
        assert (await other.get("/v1/queues")).status_code == 200
    page = await reader.get("/ui/keys")
    assert name in unescape(page.text)
    assert "<script>alert" not in page.text
    assert not KEY.findall(page.text)
    assert "may read all jobs; submit jobs of the queues" in page.text
    [stored] = [key for key in (await api.get("/v1/keys")).json()["keys"] if key["name"] == name]
    assert (stored["scopes"], stored["queues"]) == (["read", "submit"], [" a b ", "docs"])
    left = datetime.fromisoformat(stored["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"name": ""}, "A name has 1 to 255 characters."),
        ({"name": "x" * 256}, "A name has 1 to 255 characters."),
        ({"scopes": []}, "Choose at least one."),
        ({"scopes": ["read", "more"]}, "Choose at least one."),
        ({"queues": "\n".join(map(str, range(101)))}, "limited to 100 queues at most"),
        ({"queues": "x" * 256}, "255 characters at most"),
        ({"for": "0"}, "Choose one of the lengths."),
        ({"for": "999999999999"}, "Choose one of the lengths."),
        ({"for": "at", "at": "2020-01-01T00:00:00Z"}, "This time has passed."),
    ],
)
async def test_wrong_form_is_shown_again(reader: httpx.AsyncClient, form: dict[str, Any], why: str) -> None:
    refused = await change(reader, "create", **({"name": "<kept>", "scopes": ["work"]} | form))
    assert refused.status_code == 422
    assert why in refused.text
    assert not KEY.findall(refused.text)
    if "name" not in form:
        assert 'value="&lt;kept&gt;"' in refused.text
    if "scopes" not in form:
        assert 'value="work" checked' in refused.text


async def test_revoking_says_what_ends_and_ends_it(
    service: ServiceProcess, api: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    made = (await api.post("/v1/keys", json={"name": "short <b>", "scopes": ["read"]})).json()
    question = (await reader.get("/ui/keys/revoke", params={"key": made["id"]})).text
    assert "short &lt;b&gt;" in question
    assert "Within 2 seconds every call with it is refused" in question
    assert "You are signed in with this key" not in question
    revoked = await change(reader, "revoke", key=made["id"])
    assert revoked.headers["hx-trigger"] == "keys-changed"
    async with service.client() as other:
        other.headers["Authorization"] = f"Bearer {made['key']}"
        assert (await other.get("/v1/queues")).status_code == 401
    table = (await reader.get("/ui/keys/table")).text
    [row] = re.findall(rf'<tr id="key-{made["id"]}".*?</tr>', table, re.DOTALL)
    assert "revoked <time" in row
    assert "<button" not in row, "nothing is left to do"


async def test_own_key_is_marked_and_the_last_operator_stays(start_service: StartService) -> None:
    """A service of its own: in the shared one others have operators' keys, and the shared key would really end."""
    service = await start_service()
    async with service.client() as api, visitor(service) as reader:
        await sign_in(reader, service.api_key)
        [own] = (await api.get("/v1/keys")).json()["keys"]
        assert "this signs you out" in (await reader.get("/ui/keys/revoke", params={"key": own["id"]})).text
        refused = await change(reader, "revoke", key=own["id"])
        assert refused.status_code == 409
        assert refused.headers["hx-retarget"] == "#notes"
        assert "No other operator key would last as long" in refused.text


async def test_end_is_set_and_taken_away(api: httpx.AsyncClient, reader: httpx.AsyncClient) -> None:
    made = (await api.post("/v1/keys", json={"name": "n", "scopes": ["read"]})).json()
    assert "Now it never ends." in (await reader.get("/ui/keys/end", params={"key": made["id"]})).text
    wrong = await change(reader, "end", key=made["id"], **{"for": "at", "at": "soon"})
    assert (wrong.status_code, "This is not a time." in wrong.text) == (422, True)
    await change(reader, "end", key=made["id"], **{"for": "at", "at": "2100-01-01T00:00:00.000Z"})
    assert (await api.get(f"/v1/keys/{made['id']}")).json()["expires_at"] == "2100-01-01T00:00:00.000Z"
    assert "Now it ends" in (await reader.get("/ui/keys/end", params={"key": made["id"]})).text
    assert "never ends" in (await change(reader, "end", key=made["id"])).text
    assert (await api.get(f"/v1/keys/{made['id']}")).json()["expires_at"] is None
    for key in ("", "nokey", "a-b", "ü", "x" * 65):
        assert (await reader.get("/ui/keys/end", params={"key": key})).status_code in {404, 422}
        assert (await change(reader, "end", key=key)).status_code == 404


async def test_keys_are_for_admins(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    made = (await api.post("/v1/keys", json={"name": "reader", "scopes": ["read", "submit", "work"]})).json()
    async with visitor(service) as browser:
        await sign_in(browser, made["key"])
        page = await browser.get("/ui/keys")
        assert page.status_code == 403
        assert "This key may not manage keys. The key lacks the scope `admin`." in page.text
        assert 'href="/ui/keys"' not in page.text, "what a key may not is not offered"
        for path in ("create", "revoke", "end"):
            assert (await change(browser, path, key=made["id"], name="n", scopes="read")).status_code == 403


async def test_no_key_makes_one_that_may_more(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    limited = {"name": "limited", "scopes": ["admin"], "queues": ["docs", "mail"]}
    made = (await api.post("/v1/keys", json=limited)).json()
    async with visitor(service) as browser:
        await sign_in(browser, made["key"])
        page = (await browser.get("/ui/keys")).text
        assert 'value="operator"' not in page
        assert 'value="admin"' in page
        assert ">\ndocs\nmail</textarea>" in page
        for form in (
            {"scopes": "work", "queues": "other"},
            {"scopes": "work"},
            {"scopes": "operator", "queues": "docs"},
        ):
            refused = await change(browser, "create", name="n", **form)
            assert refused.status_code == 403
            assert refused.headers["hx-retarget"] == "#notes"
        assert (await change(browser, "create", name="n", scopes="work", queues="docs")).status_code == 200


async def test_change_wants_the_token_of_the_page(reader: httpx.AsyncClient) -> None:
    reader.headers["X-Jobtrack-Form"] = "0" * 64
    refused = await change(reader, "create", name="n", scopes="read")
    assert refused.status_code == 403
    assert not KEY.findall(refused.text)


async def test_keys_are_paged(service: ServiceProcess, api: httpx.AsyncClient) -> None:
    project = (await api.post("/v1/projects", json={"name": "many"})).json()["id"]
    admin = {"name": "admin", "scopes": ["admin"], "project_id": project}
    key = (await api.post("/v1/keys", json=admin)).json()["key"]
    for n in range(50):
        await api.post("/v1/keys", json={"name": f"key {n}", "scopes": ["read"], "project_id": project})
    async with visitor(service) as browser:
        await sign_in(browser, key)
        first = (await browser.get("/ui/keys")).text
        assert "first key" not in first
        assert ">admin</bdi>" not in first
        [following] = re.findall(r'id="next-keys" rel="next" href="([^"]+)"', first)
        second = (await browser.get(unescape(following))).text
        assert ">admin</bdi>" in second
        assert ">key 0<" not in second
        assert (await browser.get("/ui/keys?cursor=AAAA")).status_code == 422


@pytest.mark.parametrize(
    ("scopes", "queues", "words"),
    [
        ("read", None, "may read jobs"),
        ("read submit", None, "may read and submit jobs"),
        ("read submit work", None, "may read, submit and work on jobs"),
        ("work", None, "may work on jobs"),
        ("read submit", "docs", "may read all jobs; submit jobs of queue docs"),
        ("work submit", "docs mail", "may submit and work on jobs of the queues docs and mail"),
        ("work", "a b c d e", "may work on jobs of the queues a, b, c and 2 more"),
        ("admin", None, "may read, submit and work on jobs, and manage queues and keys"),
        ("operator", None, "may do everything, in all projects"),
        ("metrics", None, "may read the metrics"),
    ],
)
def test_what_a_key_may_is_said_in_words(scopes: str, queues: str | None, words: str) -> None:
    limited = None if queues is None else frozenset(queues.split())
    assert words_of({Scope(scope) for scope in scopes.split()}, limited) == words
