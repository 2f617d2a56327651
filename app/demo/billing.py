"""What a run would cost: the demo's own tariff, in the shape of a hosted service's bill."""

from __future__ import annotations

from typing import Any

CREDITS_PER_PAGE = 1
PRICE_PER_CREDIT = 0.0005
CURRENCY = "USD"
# What an index may use up; nothing happens at its end but that no credits remain.
ALLOWANCE = 1_000_000


def bill(pages: int, pages_ever: int) -> dict[str, Any]:
    """Give the bill of a run over that many pages, with what remains after all runs into the index."""
    credits_used = pages * CREDITS_PER_PAGE
    return {
        "cost": {"amount": round(credits_used * PRICE_PER_CREDIT, 4), "currency": CURRENCY},
        "credits": {"used": credits_used, "remaining": max(0, ALLOWANCE - pages_ever * CREDITS_PER_PAGE)},
        "rate": {"per_credit": PRICE_PER_CREDIT, "currency": CURRENCY},
        "processing_type": "basic",
        "pages_processed": pages,
    }
