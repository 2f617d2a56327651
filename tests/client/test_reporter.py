"""How often a worker gives a sign of life."""

import pytest

from jobtrack_client.lease import interval_of


@pytest.mark.parametrize(("lease", "interval"), [(30, 10), (1, 1 / 3), (None, 20), (0.01, 0.25), (-5, 0.25)])
def test_a_third_of_the_lease_but_never_a_storm(lease: float | None, interval: float) -> None:
    assert interval_of(lease) == interval
