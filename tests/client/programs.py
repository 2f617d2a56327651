"""Workers as programs of their own."""

import os

from tests.service_process import ROOT, ServiceProcess


def environment(service: ServiceProcess | None = None) -> dict[str, str]:
    """The environment of a program that reaches this service, or none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JOBTRACK_") and name != "PORT"}
    reached = {"JOBTRACK_URL": service.url, "JOBTRACK_API_KEY": service.api_key} if service else {}
    return {**kept, "PYTHONPATH": str(ROOT), "JOBTRACK_DATA_DIR": "/nonexistent", **reached}
