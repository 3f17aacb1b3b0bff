import pytest

from cikg.errors import InputError
from cikg.extraction.budget import Budget, Unit, parse
from cikg.settings import Price, Settings

SETTINGS = Settings(llm_prices={"m": Price(input=1, output=2)}, llm_currency="EUR")


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("500 calls", Budget(500, Unit.CALLS)),
        ("1 call", Budget(1, Unit.CALLS)),
        ("2M tokens", Budget(2_000_000, Unit.TOKENS)),
        ("1.5k tokens", Budget(1500, Unit.TOKENS)),
        ("5 EUR", Budget(5, Unit.MONEY, "EUR")),
        ("0.25eur", Budget(0.25, Unit.MONEY, "EUR")),
    ],
)
def test_budgets_as_people_write_them(text: str, budget: Budget) -> None:
    assert parse(text, SETTINGS, "m") == budget


@pytest.mark.parametrize("text", ["", "5", "calls", "5 USD", "-5 calls", "5 dollars", "nan EUR"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InputError, match="'500 calls', '2M tokens' or '5 EUR'"):
        parse(text, SETTINGS, "m")


def test_money_needs_a_price() -> None:
    with pytest.raises(InputError, match="nobody said what 'n' costs"):
        parse("5 EUR", SETTINGS, "n")
    assert Price(input=1, output=2).cost(1_000_000, 500_000) == 2.0
    assert Price(input=1, output=2).cost(1_000_000, 500_000, batch=True) == 1.0
