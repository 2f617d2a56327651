"""Tests of handlers without a service, and of programs with one that is started for them.

`run` runs one attempt of a handler and returns what the service would know of it; `service` starts an embedded service,
where the server is installed. Nothing here needs pytest.
"""

from jobtrack_client.testing.attempt import run, run_async
from jobtrack_client.testing.outcome import Outcome
from jobtrack_client.testing.service import Service, ServiceNotStartedError, service

__all__ = ["Outcome", "Service", "ServiceNotStartedError", "run", "run_async", "service"]
