"""What every OpenAPI document does with its examples."""

from typing import Any

_METHODS = ("get", "put", "post", "delete", "patch")


def show_parameters(document: dict[str, Any]) -> None:
    """Move the example of each parameter's schema to the parameter: Swagger UI fills in no other."""
    for path in document["paths"].values():
        for method in _METHODS:
            for parameter in path.get(method, {}).get("parameters", ()):
                if found := parameter.get("schema", {}).pop("examples", None):
                    parameter["example"] = found[0]
