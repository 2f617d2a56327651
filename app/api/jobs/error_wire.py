"""The errors of a job's items as documents."""

from pydantic import Field

from app.api.wire import Answer


class ItemErrorsOut(Answer):
    """The failed items with one error code."""

    error_code: str
    count: int
    first_key: str = Field(description="The first item with it, in the order in which they were first reported.")
    message: str | None = Field(description="What is said of that item's error.")


class GroupedErrorsOut(Answer):
    """The errors of a job's failed items by code, the most frequent first."""

    errors: list[ItemErrorsOut]
    counted: int = Field(description="How many failed items were counted.")
    is_complete: bool = Field(description="Whether all failed items were counted, and all their codes are here.")
