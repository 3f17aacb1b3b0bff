"""What the console reads of a statement before the server does."""

from __future__ import annotations

import pytest

from cikg.errors import InputError, NotReadOnlyError
from cikg.graph.console import inspect

LONG = 100_000
"""Characters that a statement may have."""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "part", ["a", "a.", "`", "``", "`a", "'\\\\'", "/*a", "/", '"a"', "\\\\u0061", "a ", "(", "`a`."]
)
def test_a_long_statement_is_read_in_time(part: str) -> None:
    """Were a piece looked at again from each of its characters, this would take minutes, and no page be answered."""
    text = (part * LONG)[:LONG]
    for each in (text, f"RETURN {text}", text + "'"):
        try:
            inspect(each)
        except InputError:
            continue


@pytest.mark.parametrize(
    "text",
    [
        "RETURN apoc.f(1)",
        "RETURN `apoc`./* x */\n`f` (1)",
        "RETURN `apoc.f`(1)",
        "WITH 1 AS `'` RETURN apoc.f(1), 2 AS `'`",
        "RETURN '`' + apoc.f(1) + '`'",
        "RETURN 1 // ' \n + apoc.f(1) + '//'",
        r"RETURN 'it\'s' + apoc.f(1)",
    ],
)
def test_a_function_of_a_plugin_is_found_wherever_it_stands(text: str) -> None:
    with pytest.raises(NotReadOnlyError, match=r"it calls apoc\.f,"):
        inspect(text)


@pytest.mark.parametrize(
    "text",
    [
        "RETURN date.truncate('day', date())",
        "MATCH (n) WHERE n.x = 1.5 AND (n.y) RETURN n.name, (n.z)",
        "RETURN 'apoc.f(1)', \"apoc.f(1)\" AS `x y` // apoc.f(1)",
        "RETURN 1 /* apoc.f(1) */",
    ],
)
def test_what_only_looks_like_one_is_asked(text: str) -> None:
    inspect(text)
