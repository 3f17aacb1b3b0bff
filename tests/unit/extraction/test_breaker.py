from __future__ import annotations

from cikg.errors import AuthenticationError, NotFoundError, ServiceError
from cikg.extraction.runner import FAILURES_IN_A_ROW, Breaker


def test_it_opens_after_failures_in_a_row_and_names_the_one_that_opened_it() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.fail(ServiceError("busy"))
    breaker.succeed()
    for _ in range(FAILURES_IN_A_ROW - 1):
        breaker.fail(ServiceError("busy"))
    assert breaker.cause is None
    last = ServiceError("dead")
    breaker.fail(last)
    breaker.fail(ServiceError("later"))
    assert breaker.cause is last


def test_a_refused_key_or_an_unknown_model_opens_it_at_once() -> None:
    for error in (AuthenticationError("no"), NotFoundError("no such model")):
        breaker = Breaker()
        breaker.fail(error)
        assert breaker.cause is error
