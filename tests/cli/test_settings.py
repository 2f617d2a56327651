"""Settings and logs: where they come from, what is refused, and that no secret is ever repeated."""

import json
import logging
from pathlib import Path

import pytest

from app import logs
from app.settings import Settings, SettingsError, load, unknown_names

DSN = "postgresql://jobtrack:s3cret@db/jobtrack"


@pytest.fixture(autouse=True)
def _no_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PORT", raising=False)


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_an_option_wins_over_the_environment_and_the_name_over_its_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "81")
    assert load().port == 81
    monkeypatch.setenv("JOBTRACK_PORT", "82")
    assert load().port == 82
    assert load(port=83, host=None).port == 83


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
        ("a sentence about authorization and jobs", "a sentence about authorization and jobs"),
    ],
)
def test_secrets_are_masked_by_their_form(text: str, expected: str) -> None:
    assert logs.scrub(text) == expected


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_reaches_the_log_by_any_way(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        logs.configure(secrets=["a-bootstrap-key-of-any-form"], as_json=as_json)
        log = logging.getLogger("test")
        log.warning("password=s3cret %s", "a-bootstrap-key-of-any-form", extra={"headers": {"Authorization": "s3cret"}})
        log.warning("named", extra={"api_key": "s3cret"})
        try:
            int(DSN)
        except ValueError:
            log.exception("it broke")
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
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
