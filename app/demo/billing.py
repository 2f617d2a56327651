"""The bill of a run: prices of the demo's own, in the format of a hosted service."""

from __future__ import annotations

from typing import Any

CREDITS_PER_PAGE = 1
PRICE_PER_CREDIT = 0.0005
CURRENCY = "USD"
# The credits of an index. Nothing happens when they are used up, except that none remain on the bill.
ALLOWANCE = 1_000_000


def bill(pages: int, pages_ever: int) -> dict[str, Any]:
    """Return the bill of a run over this many pages; `pages_ever` counts the pages of all runs into the index."""
    credits_used = pages * CREDITS_PER_PAGE
    return {
        "cost": {"amount": round(credits_used * PRICE_PER_CREDIT, 4), "currency": CURRENCY},
        "credits": {"used": credits_used, "remaining": max(0, ALLOWANCE - pages_ever * CREDITS_PER_PAGE)},
        "rate": {"per_credit": PRICE_PER_CREDIT, "currency": CURRENCY},
        "processing_type": "basic",
        "pages_processed": pages,
    }
