"""Workers as programs of their own."""

from tests.service_process import ROOT, ServiceProcess, without_settings


def environment(service: ServiceProcess | None = None) -> dict[str, str]:
    """The environment of a program that reaches this service, or none."""
    reached = {"JOBTRACK_URL": service.url, "JOBTRACK_API_KEY": service.api_key} if service else {}
    return {**without_settings(), "PYTHONPATH": str(ROOT), "JOBTRACK_DATA_DIR": "/nonexistent", **reached}
