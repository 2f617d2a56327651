"""Recorded conversations: what was asked and answered, with everything that differs from run to run made the same."""

import json
import os
import re
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

GOLDEN = Path(__file__).parent / "golden"
RECORD = bool(os.environ.get("JOBTRACK_TEST_RECORD"))
"""Set: what is answered is written down instead of compared. Read the difference before you commit it."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")
_SECONDS = {"elapsed_seconds", "duration_seconds"}
_CURSORS = {"next_cursor"}
_KEY_ID = {"user_id"}
_CURSOR = re.compile(r"(?<=cursor=)[\w-]{20,}")


class Recorder:
    """Talks to one dialect, and keeps what was said in the order in which it was said."""

    def __init__(self, client: httpx.AsyncClient, document: dict[str, Any]) -> None:
        self._client = client
        self._document = document
        self._ids: dict[str, str] = {}
        self.said: list[dict[str, Any]] = []

    async def ask(
        self, what: str, method: str, path: str, *, headers: dict[str, str] | None = None, **request: Any
    ) -> Any:
        """One request; the answer must fit the document, and the body is given back as it came."""
        answer = await self._client.request(method, path, headers=headers, **request)
        body = answer.json()
        self._validate(what, method, path, answer.status_code, body)
        asked = {"method": method, "path": self._same(path)}
        if "json" in request:
            asked["body"] = self._same(request["json"])
        self.said.append(
            {"what": what, "request": asked, "response": {"status": answer.status_code, "body": self._same(body)}}
        )
        return body

    def check(self, name: str) -> None:
        """Compare with what is recorded under a name, or record it."""
        path = GOLDEN / name / "conversation.json"
        if RECORD:
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(self.said, indent=2, ensure_ascii=False) + "\n")
        recorded = json.loads(path.read_text())
        assert [one["what"] for one in self.said] == [one["what"] for one in recorded]
        for one, other in zip(self.said, recorded, strict=True):
            # As text: the order of fields is the vendor's, and 1 is not 1.0.
            assert json.dumps(one, indent=1) == json.dumps(other, indent=1), one["what"]

    def _same(self, value: Any, name: str = "") -> Any:
        """Replace ids by their order of appearance, and times and lengths by zeros of the same shape."""
        if isinstance(value, dict):
            return {self._text(key): self._same(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._same(inner) for inner in value]
        if name in _SECONDS and isinstance(value, int):
            return 0
        if isinstance(value, str) and name in _CURSORS | _KEY_ID:
            return f"<{name}>"
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        text = _CURSOR.sub("<next_cursor>", text)
        text = _UUID.sub(lambda found: self._ids.setdefault(found[0], f"<id {len(self._ids) + 1}>"), text)
        return _TIME.sub(lambda found: "0000-00-00T00:00:00" + re.sub(r"\d", "0", found[1] or ""), text)

    def _validate(self, what: str, method: str, path: str, status: int, body: Any) -> None:
        """Hold a body against the schema that the document declares for it; what has no route has no schema."""
        operation = _operation(self._document, method, path.partition("?")[0])
        if operation is None:
            return
        said = operation["responses"].get(str(status))
        assert said, f"{what}: {status} is not declared"
        self.fits(what, said["content"]["application/json"]["schema"], body)

    def fits(self, what: str, schema: dict[str, Any], body: Any) -> None:
        """Hold a body against a schema of the document."""
        whole = {**schema, "components": self._document["components"]}
        errors = [error.message for error in Draft202012Validator(whole).iter_errors(body)]
        assert not errors, f"{what}: {errors[:3]} in {body}"


def _operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    for template, operations in sorted(document["paths"].items(), key=lambda pair: pair[0].count("{")):
        # A path of several steps is a parameter that was declared so; the document cannot say it.
        pattern = re.escape(template).replace(r"\{item_id\}", ".+")
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", pattern), path):
            found: dict[str, Any] | None = operations.get(method.lower())
            return found
    return None
