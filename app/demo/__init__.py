"""The example worker of `jobtrack demo`, which really indexes a folder of files.

It is a worker like any other: it talks to the service over HTTP through `jobtrack_client` and imports nothing else of
this package, so that it can be read, and copied, as an example.
"""

from app.demo.runner import DemoEvent, default_folders, run_demo, work_on_reruns

__all__ = ["DemoEvent", "default_folders", "run_demo", "work_on_reruns"]
