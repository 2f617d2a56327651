"""Large answers are rendered elsewhere than on the event loop."""

import json
import threading

from app.web.large import LARGE_BYTES, list_body, rendered


async def test_only_large_answers_are_rendered_in_a_thread() -> None:
    def render() -> str:
        return threading.current_thread().name

    here = threading.current_thread().name
    assert await rendered(LARGE_BYTES - 1, render) == here
    assert await rendered(LARGE_BYTES, render) != here


def test_list_is_an_object_with_its_other_fields() -> None:
    for rows in ([], [b'{"a":1}'], [b'{"a":1}', b"[]"]):
        document = json.loads(list_body("rows", iter(rows), next_cursor=None, others=["b"]))
        assert document == {"rows": [json.loads(row) for row in rows], "next_cursor": None, "others": ["b"]}
