"""The operations of every OpenAPI document, for tests that go through all of them."""

from typing import Any, NamedTuple

from app.cli.server import bare_app
from app.main import openapi_documents

DOCUMENTS = openapi_documents(bare_app())
NATIVE = "native"
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
METHODS = ("get", "put", "post", "delete", "patch")


class Operation(NamedTuple):
    """One operation of one document."""

    document: str
    method: str
    path: str
    said: dict[str, Any]

    @property
    def url(self) -> str:
        """Its path, with an unknown id wherever one is asked for."""
        path = self.path
        for name in self._parameters("path"):
            path = path.replace("{" + name + "}", UNKNOWN)
        return path

    def _parameters(self, place: str) -> list[str]:
        return [one["name"] for one in self.said.get("parameters", ()) if one["in"] == place]

    @property
    def queries(self) -> list[str]:
        """The names of its query parameters."""
        return self._parameters("query")

    def schema(self) -> dict[str, Any] | None:
        """The schema of its JSON body."""
        content = self.said.get("requestBody", {}).get("content", {}).get("application/json")
        return None if content is None else content["schema"]


OPERATIONS = [
    Operation(name, method, path, said)
    for name, document in sorted(DOCUMENTS.items())
    for path, methods in document["paths"].items()
    for method, said in methods.items()
    if method in METHODS
]


def name_of(one: Operation) -> str:
    """Name an operation in the report."""
    return f"{one.document} {one.method} {one.path}"
