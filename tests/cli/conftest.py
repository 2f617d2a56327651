"""What the tests of the command share."""

from pathlib import Path
from uuid import uuid4

import pytest


@pytest.fixture
def data_dir(room: Path) -> Path:
    """Where nothing is yet, and where the server's user can get to."""
    return room / uuid4().hex[:8]
