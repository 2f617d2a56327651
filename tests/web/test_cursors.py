"""A cursor is checked by its shape; its seal is no secret, so its position is checked too."""

import pytest

from app.web.cursors import (
    MAX_LENGTH,
    MAX_ROW,
    InvalidCursorError,
    read_cursor,
    read_epoch_cursor,
    write_cursor,
    write_epoch_cursor,
)


@pytest.mark.parametrize("position", [2**63, 2**100])
def test_position_beyond_what_the_database_counts_is_refused(position: int) -> None:
    cursor = write_cursor(position, "items")
    assert read_cursor(cursor, "items", most=position) == position
    with pytest.raises(InvalidCursorError):
        read_cursor(cursor, "items", most=MAX_ROW)
    assert read_cursor(write_cursor(MAX_ROW, "items"), "items", most=MAX_ROW) == MAX_ROW


@pytest.mark.parametrize("epoch", [0, 1, MAX_ROW])
def test_epoch_comes_back_with_its_position(epoch: int) -> None:
    cursor = write_epoch_cursor(2**127, epoch, "events")
    assert read_epoch_cursor(cursor, "events", most=2**127) == (2**127, epoch)
    assert len(cursor) <= MAX_LENGTH
    assert (cursor == write_cursor(2**127, "events")) == (epoch == 0), "epoch 0 is that of cursors without one"


def test_epoch_that_no_cluster_has_is_refused() -> None:
    for cursor in (write_epoch_cursor(1, MAX_ROW + 1, "events"), write_cursor(2**64 + 1, "events")[:-2]):
        with pytest.raises(InvalidCursorError):
            read_epoch_cursor(cursor, "events", most=MAX_ROW)
