"""A JSON value as text: written once, then stored and answered as it is."""


class JsonText:
    """A document that nobody needs parsed. No `str`, so that no encoder takes it for a JSON string."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonText) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"JsonText({self.text!r:.80})"
