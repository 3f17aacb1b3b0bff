"""The tree of errors: what a person reads, and what a program does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cikg import errors
from cikg.errors import CikgError, InputError, JobError


def tree(kind: type[CikgError] = CikgError) -> Iterator[type[CikgError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_message_and_cure_are_two_sentences() -> None:
    error = CikgError("the file is empty", cure="Write something into it")
    assert str(error) == "the file is empty. Write something into it"
    assert str(CikgError("the file is empty")) == "the file is empty"
    assert error.as_dict() == {"error": "CikgError", "message": "the file is empty", "cure": "Write something into it"}


@pytest.mark.parametrize(
    ("path", "line", "shown"),
    [
        ("a.txt", 3, "a.txt:3: two columns"),
        (Path("a.txt"), None, "a.txt: two columns"),
        (None, 3, "two columns"),
        (None, None, "two columns"),
    ],
)
def test_wrong_input_says_where(path: Path | str | None, line: int | None, shown: str) -> None:
    error = InputError("two columns", path, line, cure="Write three")
    assert error.message == shown
    assert (error.path, error.line, error.cure) == (path, line, "Write three")


def test_a_failed_job_is_told_from_wrong_surroundings() -> None:
    assert JobError.exit_code == 1
    assert {kind.exit_code for kind in tree() if kind is not JobError} == {2}


def test_the_tree_in_the_documentation_is_the_tree() -> None:
    drawn = re.findall(r"[├└│]?─*\s*(\w+Error)\b", (errors.__doc__ or "").split("Each message")[0])
    assert set(drawn) == {kind.__name__ for kind in tree()}
