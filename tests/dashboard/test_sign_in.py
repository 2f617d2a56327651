"""Signing in: by a one-time code, by a pasted key; what ends a session, and what a session is not good for."""

import asyncio
import time

import httpx
import pytest
from asyncpg import connect

from app.db.opening import asyncpg_dsn
from tests.api.operations import OPERATIONS, name_of
from tests.conftest import StartService
from tests.dashboard.conftest import sign_in, visitor
from tests.service_process import ServiceProcess

PAGE = "/ui/jobs/01890a5d-ac96-774b-bcce-b302099a8057"


async def code_of(api: httpx.AsyncClient) -> str:
    """A new one-time code, as `jobtrack open` gets it."""
    made = await api.post("/v1/sessions/codes")
    assert made.status_code == 201, made.text
    assert made.json()["path"] == f"/sign-in#{made.json()['code']}"
    return str(made.json()["code"])


async def test_a_code_begins_one_session(api: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    code = await code_of(api)
    begun = await browser.post("/sign-in", data={"code": code, "next": "/ui/jobs?status=failed"})
    assert begun.status_code == 303
    assert begun.headers["location"] == "/ui/jobs?status=failed"
    assert (await browser.get(PAGE)).status_code == 404, "signed in: the job is what is missing"
    again = await browser.post("/sign-in", data={"code": code})
    assert again.status_code == 401
    assert "has been used" in again.text


@pytest.mark.parametrize("wrong", ["x", "A" * 22, "ü" * 22, "A" * 23, "A" * 1_000_000])
async def test_what_is_no_code_is_refused(browser: httpx.AsyncClient, wrong: str) -> None:
    refused = await browser.post("/sign-in", data={"code": wrong})
    assert refused.status_code == 401
    assert "set-cookie" not in refused.headers


async def test_the_cookie_is_the_browsers_alone(service: ServiceProcess, reader: httpx.AsyncClient) -> None:
    begun = await reader.post("/sign-in", data={"key": service.api_key})
    name, *flags = begun.headers["set-cookie"].split("; ")
    assert name.startswith(f"jobtrack_session_{service.port}="), "services on one machine keep apart"
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(flags)
    assert "Secure" not in flags
    assert "no-store" in begun.headers["cache-control"]


async def test_https_makes_the_cookie_secure(start_service: StartService) -> None:
    service = await start_service(JOBTRACK_PUBLIC_URL="https://jobs.example.com")
    headers = {"Origin": "https://jobs.example.com", "Host": "jobs.example.com"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers) as browser:
        begun = await browser.post("/sign-in", data={"key": service.api_key})
    name, *flags = begun.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-jobtrack_session_443=")
    assert {"Secure", "Path=/"} <= set(flags)


@pytest.mark.parametrize("to", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "jobs"])
async def test_signing_in_leads_to_our_own_pages_alone(
    service: ServiceProcess, browser: httpx.AsyncClient, to: str
) -> None:
    begun = await browser.post("/sign-in", data={"key": service.api_key, "next": to})
    assert begun.headers["location"] == "/"


async def test_another_keys_session_is_replaced_only_when_asked(
    api: httpx.AsyncClient, reader: httpx.AsyncClient
) -> None:
    other = (await api.post("/v1/keys", json={"name": "an attacker's", "scopes": ["read"]})).json()["key"]
    async with httpx.AsyncClient(base_url=api.base_url, headers={"Authorization": f"Bearer {other}"}) as attacker:
        code = await code_of(attacker)
    question = await reader.post("/sign-in", data={"code": code})
    assert question.status_code == 200
    assert "an attacker&#39;s" in question.text
    assert "set-cookie" not in question.headers
    assert "first key" in (await reader.get(PAGE)).text
    replaced = await reader.post("/sign-in", data={"code": code, "replace": "yes"})
    assert replaced.status_code == 303
    assert "an attacker&#39;s" in (await reader.get(PAGE)).text


async def test_other_sites_can_ask_for_nothing(service: ServiceProcess, reader: httpx.AsyncClient) -> None:
    for headers in ({"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {}):
        async with httpx.AsyncClient(base_url=service.url, cookies=reader.cookies, headers=headers) as elsewhere:
            token = {"X-Jobtrack-Form": reader.headers["X-Jobtrack-Form"]}
            assert (await elsewhere.post("/sign-in", data={"key": service.api_key})).status_code == 403
            assert (await elsewhere.post("/sign-out", headers=token)).status_code == 403
    assert (await reader.get(PAGE)).status_code == 404, "still signed in"


async def test_a_change_wants_the_token_of_its_session(service: ServiceProcess, reader: httpx.AsyncClient) -> None:
    token = reader.headers.pop("X-Jobtrack-Form")
    assert (await reader.post("/sign-out")).status_code == 403
    async with visitor(service) as other:
        await sign_in(other, service.api_key)
        assert other.headers["X-Jobtrack-Form"] != token
        wrong = {"X-Jobtrack-Form": other.headers["X-Jobtrack-Form"]}
        assert (await reader.post("/sign-out", headers=wrong)).status_code == 403
    assert (await reader.post("/sign-out", headers={"X-Jobtrack-Form": token})).status_code == 204


async def test_signing_out_ends_the_session_itself(service: ServiceProcess, reader: httpx.AsyncClient) -> None:
    kept = dict(reader.cookies)
    assert (await reader.post("/sign-out")).status_code == 204
    async with httpx.AsyncClient(base_url=service.url, cookies=kept) as thief:
        assert (await thief.get(PAGE)).headers["location"].startswith("/sign-in")


async def test_a_session_ends_with_its_key(api: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
    made = (await api.post("/v1/keys", json={"name": "short", "scopes": ["read"]})).json()
    await sign_in(browser, made["key"])
    await api.delete(f"/v1/keys/{made['id']}")
    ends_at = time.monotonic() + 2
    while (answer := await browser.get(PAGE)).status_code != 303:
        assert time.monotonic() < ends_at, "two seconds after its key the session is still good"
        await asyncio.sleep(0.05)
    assert answer.headers["location"].startswith("/sign-in")


async def test_an_old_session_is_over(start_service: StartService, database_url: str) -> None:
    service = await start_service()
    connection = await connect(asyncpg_dsn(database_url))
    async with visitor(service) as unused, visitor(service) as long_ago:
        ends = ((unused, "used_at", "12 hours"), (long_ago, "created_at", "7 days"))
        for browser, column, length in ends:
            await sign_in(browser, service.api_key)
            # The newest one: whose browser it is stands in no column.
            await connection.execute(
                f"UPDATE browser_sessions SET {column} = {column} - interval '{length}' + interval '1 minute' "
                "WHERE created_at = (SELECT max(created_at) FROM browser_sessions)"
            )
        service.stop()
        service.start()
        await service.ready()
        for browser, column, _ in ends:
            assert (await browser.get(PAGE)).status_code == 404, "a minute is left, also after a restart"
            await connection.execute(f"UPDATE browser_sessions SET {column} = {column} - interval '2 minutes'")
            ends_at = time.monotonic() + 3
            while (await browser.get(PAGE)).status_code != 303:
                assert time.monotonic() < ends_at
                await asyncio.sleep(0.05)
            await connection.execute(f"UPDATE browser_sessions SET {column} = {column} + interval '2 minutes'")
    await connection.close()


async def test_codes_are_kept_as_digests_and_for_minutes(start_service: StartService, database_url: str) -> None:
    service = await start_service()
    connection = await connect(asyncpg_dsn(database_url))
    async with service.client() as api, visitor(service) as browser:
        code = await code_of(api)
        (stored,) = await connection.fetch("SELECT *, expires_at - statement_timestamp() AS left FROM session_codes")
        assert code.encode() not in stored["digest"]
        assert stored["left"].total_seconds() <= 300
        await connection.execute("UPDATE session_codes SET expires_at = statement_timestamp()")
        assert (await browser.post("/sign-in", data={"code": code})).status_code == 401
    await connection.close()


PUBLIC = {"livez", "readyz", "immuta_apikey_authenticate"}
"""Operations that ask for no key; the last one wants it in its body, and gets none here."""


async def test_a_session_is_good_for_the_pages_alone(reader: httpx.AsyncClient) -> None:
    for one in OPERATIONS:
        answer = await reader.request(one.method, one.url, json={})
        wanted = {200, 422} if one.said["operationId"] in PUBLIC else {401}
        assert answer.status_code in wanted, f"{name_of(one)}: {answer.text}"


async def test_pages_without_a_session_lead_to_the_sign_in(browser: httpx.AsyncClient) -> None:
    answer = await browser.get(f"{PAGE}?a=b c")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/sign-in?next={PAGE}%3Fa%3Db%2520c"
    part = await browser.get(PAGE, headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/sign-in")


async def test_pages_run_no_script_but_their_own(reader: httpx.AsyncClient) -> None:
    for path in ("/sign-in", PAGE):
        answer = await reader.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "style=" not in answer.text
        assert "<script>" not in answer.text
