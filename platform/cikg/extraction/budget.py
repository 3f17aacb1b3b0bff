"""What a run may spend: so many calls, tokens, or so much money, from the moment it is started."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from cikg.errors import CikgError, InputError
from cikg.llm.answers import Usage
from cikg.llm.traffic import AwayError, Traffic
from cikg.settings import Price, Settings

_SPELLING = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,9})?)\s*(?P<scale>[kKmM]?)\s*(?P<unit>[A-Za-z]+)")
_NO_LIMIT = 1e300
_SCALES = {"": 1, "k": 1_000, "m": 1_000_000}


class Unit(StrEnum):
    """What a budget counts."""

    CALLS = "calls"
    TOKENS = "tokens"
    MONEY = "money"


class SpentError(CikgError):
    """The budget is spent: the run is paused."""


@dataclass(frozen=True)
class Budget:
    """A limit.

    Attributes:
        limit: how much, in its unit.
        unit: of what.
        currency: of money.
    """

    limit: float
    unit: Unit
    currency: str = ""

    def __str__(self) -> str:
        shown = f"{self.limit:,.2f}" if self.unit is Unit.MONEY else f"{self.limit:,.0f}"
        return f"{shown} {self.currency or self.unit}"


def parse(text: str, settings: Settings, model: str) -> Budget:
    """Read a budget as a person writes it: `500 calls`, `2M tokens`, `5 USD`.

    Raises:
        InputError: it is none of these, or it is money and the model has no price.
    """
    found = _SPELLING.fullmatch(text.strip())
    unit = found["unit"].casefold() if found else ""
    currency = settings.llm_currency
    if found is None or unit not in ("call", "calls", "token", "tokens", currency.casefold()):
        raise InputError(f"{text!r} is no budget", cure=f"Write it like '500 calls', '2M tokens' or '5 {currency}'")
    limit = float(found["number"]) * _SCALES[found["scale"].casefold()]
    if unit != currency.casefold():
        return Budget(limit, Unit.CALLS if unit.startswith("call") else Unit.TOKENS)
    if model not in settings.llm_prices:
        raise InputError(
            f"nobody said what {model!r} costs, so that money cannot be counted",
            cure=f"Set its price in cikg.toml: llm_prices.{model!r} = {{input = …, output = …}} for a million tokens",
        )
    return Budget(limit, Unit.MONEY, currency)


def metered(unit: Unit, totals: Mapping[str, Any]) -> float:
    """How much of a unit the ledger's totals (`calls`, `prompt_tokens`, `completion_tokens`, `cost`) are."""
    match unit:
        case Unit.CALLS:
            return float(totals["calls"])
        case Unit.TOKENS:
            return float(totals["prompt_tokens"] + totals["completion_tokens"])
        case Unit.MONEY:
            return float(totals["cost"])


@dataclass(frozen=True)
class Meter:
    """Holds a run to its budget, together with all other workers.

    Attributes:
        run: the run, and what tells this budget from an earlier one of it.
        budget: the limit; without one, everything is allowed.
        price: of the model.
        spent: what the ledger says was spent of this budget; it is asked where Redis does not know.
    """

    run: str
    budget: Budget | None
    price: Price | None
    spent: Callable[[], Awaitable[float]]

    @asynccontextmanager
    async def spending(self, traffic: Traffic, tokens: int, usage: Usage) -> AsyncIterator[None]:
        """Take what a question is expected to cost, and put it right once its cost is in `usage`.

        Raises:
            SpentError: that much is not left.
            AwayError: Redis does not say whether it is; nothing was asked.
        """
        if self.budget is None:
            yield
            return
        unit, price = self.budget.unit, self.price
        question = Usage(calls=1, prompt_tokens=tokens, cost=price.cost(tokens, 0) if price else 0.0)
        expected, before = metered(unit, asdict(question)), metered(unit, asdict(usage))
        if not await self._take(traffic, expected, self.budget.limit):
            raise SpentError(f"the budget of {self.budget} is spent")
        try:
            yield
        finally:
            with suppress(AwayError):  # the ledger has the cost
                await self._take(traffic, metered(unit, asdict(usage)) - before - expected, _NO_LIMIT)

    async def _take(self, traffic: Traffic, amount: float, limit: float) -> bool:
        taken = await traffic.spend(self.run, amount, limit)
        if taken is None:
            taken = await traffic.spend(self.run, amount, limit, await self.spent())
        return bool(taken)
