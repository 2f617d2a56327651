"""A cursor is checked by its shape; its seal is no secret, so its position is checked too."""

import pytest

from app.web.cursors import MAX_ROW, InvalidCursorError, read_cursor, write_cursor


@pytest.mark.parametrize("position", [2**63, 2**100])
def test_position_beyond_what_the_database_counts_is_refused(position: int) -> None:
    cursor = write_cursor(position, "items")
    assert read_cursor(cursor, "items", most=position) == position
    with pytest.raises(InvalidCursorError):
        read_cursor(cursor, "items", most=MAX_ROW)
    assert read_cursor(write_cursor(MAX_ROW, "items"), "items", most=MAX_ROW) == MAX_ROW
