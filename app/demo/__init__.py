"""The bundled example worker behind `jobtrack demo`: it indexes a folder of files, for real.

It is a worker like any other: it talks to the service over HTTP through `jobtrack_client` and imports
nothing else of this package, so it can be read, and copied, as an example of one.
"""

from app.demo.runner import DemoEvent, default_path, run_demo

__all__ = ["DemoEvent", "default_path", "run_demo"]
