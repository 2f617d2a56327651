"""Settings and logs: where they come from, what is refused, and that no secret is ever repeated."""

import contextlib
import json
import logging
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app import logs
from app.cli import app
from app.cli.setting_names import unknown_names
from app.domain.key_text import make_key
from app.secret_files import SettingsError
from app.settings import Settings, load

DSN = "postgresql://jobtrack:s3cret@db/jobtrack"


@pytest.fixture(autouse=True)
def _no_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)


@contextlib.contextmanager
def kept_logging() -> Iterator[None]:
    """Logging as it was, and SIGTERM too, which a command takes for itself."""
    root, terminate = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, terminate)
        root.handlers[:] = handlers
        root.setLevel(level)


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_an_option_wins_over_the_environment_and_the_name_over_its_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "81")
    assert load().port == 81
    monkeypatch.setenv("JOBTRACK_PORT", "82")
    assert load().port == 82
    assert load(port=83, host=None).port == 83


def test_bootstrap_key_that_would_be_refused_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_key()[1]
    monkeypatch.setenv("JOBTRACK_BOOTSTRAP_KEY", key)
    assert load().bootstrap_key is not None
    monkeypatch.setenv("JOBTRACK_BOOTSTRAP_KEY", key[:-1] + ("a" if key[-1] != "a" else "b"))
    with pytest.raises(SettingsError, match=r"JOBTRACK_BOOTSTRAP_KEY is wrong: .* character is wrong") as refused:
        load()
    assert key[:-1] not in str(refused.value)


def test_an_empty_value_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBTRACK_PORT", "")
    assert load().port == 8000


@pytest.mark.parametrize("name", ["JOBTRACK_DATABASE_URL_FILE", "DATABASE_URL_FILE"])
def test_a_secret_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / "dsn").write_text(f"{DSN}\n")
    monkeypatch.setenv(name, str(tmp_path / "dsn"))
    url = load().database_url
    assert url is not None
    assert url.get_secret_value() == DSN
    assert "s3cret" not in repr(load())


def test_a_file_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JOBTRACK_BOOTSTRAP_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(
        SettingsError, match=r"^JOBTRACK_BOOTSTRAP_KEY_FILE names .*none, which cannot be read: No such"
    ):
        load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JOBTRACK_BOOTSTRAP_KEY", "tooshort-s3cret"),
        ("JOBTRACK_BOOTSTRAP_KEY", "s3cret" * 43),
        ("JOBTRACK_BOOTSTRAP_KEY", "s3cret with a space" * 3),
        ("JOBTRACK_DATABASE_URL", "mysql://jobtrack:s3cret@db"),
        ("DATABASE_URL", "s3cret"),
        ("PORT", "s3cret"),
        ("JOBTRACK_WORKERS", "0"),
    ],
)
def test_a_wrong_value_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name} is wrong: ") as caught:
        load()
    assert "s3cret" not in str(caught.value)


def test_a_slip_of_the_finger_gets_a_hint() -> None:
    assert unknown_names({"JOBTRACK_DATABSE_URL": "x", "JOBTRACK_URL": "x", "JOBTRACK_TEST_X": "x", "HOME": "x"}) == [
        "JOBTRACK_DATABSE_URL is not a setting of Jobtrack; did you mean JOBTRACK_DATABASE_URL?"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"cannot reach {DSN}", "cannot reach postgresql://jobtrack:***@db/jobtrack"),
        ("Authorization: Bearer s3cret", "Authorization: Bearer ***"),
        ("{'authorization': 's3cret', 'a': 1}", "{'authorization': '***', 'a': 1}"),
        ("(b'authorization', b'Bearer s3cret')", "(b'authorization', b'Bearer ***')"),
        ("jt_0123456789ab_s3cret is unknown", "jt_0123456789ab_*** is unknown"),
        ("?password=s3cret&x=1", "?password=***&x=1"),
        ("?password=s3,cret)&x=1", "?password=***&x=1"),
        ("?sslpassword=s3cret&x=1", "?sslpassword=***&x=1"),
        ("POSTGRES_PASSWORD=s3cret", "POSTGRES_PASSWORD=***"),
        ("host=db password='s3 cr\\'et' user=u", "host=db password='***' user=u"),
        ('{"password": "s3 cr, et"}', '{"password": "***"}'),
        ('{"event": "{\\"client_secret\\": \\"s3 cret\\"}"}', '{"event": "{\\"client_secret\\": \\"***\\"}"}'),
        ("{'password': b's3 cret'}", "{'password': b'***'}"),
        ("postgresql://u:s3@c/r?e#t@db/x", "postgresql://u:***@db/x"),
        ("postgresql://me@server:s3cret@db/x", "postgresql://me@server:***@db/x"),
        ("postgresql://u:s3cret@db/x?password=s3@cret", "postgresql://u:***@db/x?password=***"),
        ("http://127.0.0.1:8000/v1/jobs is up", "http://127.0.0.1:8000/v1/jobs is up"),
        ("a sentence about authorization and jobs", "a sentence about authorization and jobs"),
    ],
)
def test_secrets_are_masked_by_their_form(text: str, expected: str) -> None:
    assert logs.scrub(text) == expected


@pytest.mark.parametrize(
    ("dsn", "shown"),
    [
        (DSN, "postgresql://jobtrack:***@db/jobtrack"),
        ("postgresql://u:s3@cret@h:5432/d?sslmode=require", "postgresql://u:***@h:5432/d?sslmode=require"),
        ("postgresql://u:s3%40cret@h1:1,h2:2/d", "postgresql://u:***@h1:1,h2:2/d"),
        ("postgresql://u:s3/cret#1@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:s3\"cr'et\\@h/d", "postgresql://u:***@h/d"),
        ("postgresql://me@server:s3cret@h/d", "postgresql://me@server:***@h/d"),
        ("postgresql://:s3cret@[::1]:5432/d", "postgresql://:***@[::1]:5432/d"),
        ("postgresql://u@h/d?password=s3cret&sslmode=require", "postgresql://u@h/d?password=***&sslmode=require"),
        ("postgresql://u@h/d?sslmode=require&sslpassword=s3cret", "postgresql://u@h/d?sslmode=require&sslpassword=***"),
        ("postgresql://u@h/d?p%61ssword=s3cret", "postgresql://u@h/d?p%61ssword=***"),
        ("postgresql://u@h/d?password=s3,'cret)#1", "postgresql://u@h/d?password=***"),
        ("postgresql://u@h/d?password=s3&cret&x=1", "postgresql://u@h/d?password=***&***&x=1"),
        # Which @ is the last of the password cannot be told.
        ("postgresql://u:s3?cret@h/d", "postgresql://***"),
        ("postgresql://u:s3cret@h/d?password=s3@cret", "postgresql://***"),
        ("postgresql://u@h/d?password=s3@cret", "postgresql://***"),
        # No host.
        ("postgresql://u:s3cret", "postgresql://***"),
        ("postgresql://h:1,u:s3cret/d", "postgresql://***"),
        # No password.
        ("postgresql://jobtrack@h:5432/d", "postgresql://jobtrack@h:5432/d"),
        ("postgresql://[::1]:5432/a:b?host=/run/x", "postgresql://[::1]:5432/a:b?host=/run/x"),
        ("postgresql://jobtrack@/d?host=/run/x&port=1", "postgresql://jobtrack@/d?host=/run/x&port=1"),
    ],
)
def test_no_form_of_a_password_in_an_address_is_shown(monkeypatch: pytest.MonkeyPatch, dsn: str, shown: str) -> None:
    assert logs.scrub_dsn(dsn) == shown
    for name in ("JOBTRACK_DATABASE_URL", "JOBTRACK_LISTEN_URL", "DATABASE_URL"):
        monkeypatch.setenv(name, dsn)
        for options in ([], ["--json"]):
            done = CliRunner().invoke(app, ["config", "show", *options], env={"COLUMNS": "400"})
            assert done.exit_code == 0
            assert json.dumps(shown)[1:-1] in done.stdout
            assert not {"s3", "cret"} & set(re.findall("s3|cret", done.output))
        monkeypatch.delenv(name)


def test_a_key_that_looks_like_an_address_is_not_shown_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBTRACK_BOOTSTRAP_KEY", "s3cret://s3cret-s3cret@s3cret/s3cret")
    assert "s3cret" not in CliRunner().invoke(app, ["config", "show", "--json"]).output


@pytest.mark.parametrize("command", ["serve", "migrate"])
@pytest.mark.parametrize("name", ["JOBTRACK_DATABASE_URL", "JOBTRACK_LISTEN_URL"])
@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:x@s3cret:5432@127.0.0.1:1/d",
        "postgresql://u:s3cret/x@127.0.0.1:1/d",
        "postgresql://u:s3cret?x@127.0.0.1:1/d",
        "postgresql://u:12/s3cret@127.0.0.1:1/d",
        "postgresql://u:[s3cret@127.0.0.1:1/d",
        "postgresql://u:1#s3cret@127.0.0.1:1/d",
        "postgresql://127.0.0.1:1/d?password=x&s3cret",
    ],
)
def test_an_address_that_the_driver_would_misread_is_refused_without_a_piece_of_it(
    monkeypatch: pytest.MonkeyPatch, command: str, name: str, dsn: str
) -> None:
    monkeypatch.setenv("JOBTRACK_DATABASE_URL", "postgresql://u@127.0.0.1:1/d")
    monkeypatch.setenv(name, dsn)
    with kept_logging():
        done = CliRunner().invoke(app, [command])
    assert (done.exit_code, "s3cret" in done.output) == (3, False)
    assert f"jobtrack: {name} is wrong: in its user name and password letters such as @" in done.output


@pytest.mark.parametrize("name", ["JOBTRACK_DATABASE_URL_FILE", "JOBTRACK_BOOTSTRAP_KEY_FILE"])
def test_a_secret_in_place_of_its_file_is_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "postgresql://u:s3cret@db/x")
    with pytest.raises(SettingsError, match=f"^{name} names a file that cannot be read: No such") as caught:
        load()
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_reaches_the_log_by_any_way(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    key = 'a-bootstrap-key-of-"any"-form'
    with kept_logging():
        logs.configure(secrets=[key], as_json=as_json)
        log = logging.getLogger("test")
        log.warning("password=s3cret %s", key, extra={"headers": {"Authorization": "s3cret"}})
        log.warning("named", extra={"api_key": "s3cret", "sslpassword": "s3cret"})
        try:
            int(DSN)
        except ValueError:
            log.exception("it broke")
    said = capsys.readouterr().err
    assert "it broke" in said
    assert "s3cret" not in said
    assert "a-bootstrap-key" not in said
    if as_json:
        assert all(json.loads(line)["message"] for line in said.splitlines())


def test_name_that_somebody_chose_begins_no_line_of_a_terminal_and_moves_no_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure(as_json=False)
        logging.getLogger("test").warning("changed", extra={"target": "a\x1b[2J", "other": "a\nb", "plain": "a é"})
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "\x1b[2J" not in said
    assert "a é" in said
