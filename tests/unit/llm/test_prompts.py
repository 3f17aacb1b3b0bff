from __future__ import annotations

from pathlib import Path

import pytest

from cikg.errors import NotFoundError
from cikg.llm import prompts
from cikg.llm.prompts import PromptError, parse, template

HEAD = "---\nname: mine\nversion: 3\ninputs: {inputs}\n---\n# system\nKnow {{{{a}}}}.\n# user\nTell {{{{b}}}}.\n"
FILES = sorted((Path(prompts.__file__).parent / "prompts").glob("*.md"))


def test_rendering_puts_each_value_in_once_and_reads_no_placeholder_in_it() -> None:
    prompt = parse(HEAD.format(inputs="a, b"), Path("mine.md")).render(a="{{b}}", b="x")
    assert prompt.messages == (("system", "Know {{b}}."), ("user", "Tell x."))
    assert (prompt.name, prompt.version) == ("mine", 3)


@pytest.mark.parametrize("inputs", ["a", "a, b, c", ""])
def test_a_file_whose_inputs_differ_from_its_placeholders_is_refused(inputs: str) -> None:
    with pytest.raises(PromptError, match=r"mine\.md"):
        parse(HEAD.format(inputs=inputs), Path("mine.md"))


@pytest.mark.parametrize("values", [{"a": "1"}, {"a": "1", "b": "2", "c": "3"}, {}])
def test_rendering_with_other_values_than_declared_is_refused(values: dict[str, str]) -> None:
    with pytest.raises(PromptError, match="takes"):
        parse(HEAD.format(inputs="a, b"), Path("mine.md")).render(**values)


@pytest.mark.parametrize(
    "text",
    [
        "no front matter",
        HEAD.format(inputs="a, b").replace("version: 3", "version: new"),
        HEAD.format(inputs="a, b").replace("name: mine", "name: other"),
        HEAD.format(inputs="a, b").replace("version: 3\n", ""),
        HEAD.format(inputs="a, b").replace("version: 3", "version 3"),
    ],
)
def test_a_malformed_file_is_named(text: str) -> None:
    with pytest.raises(PromptError, match=r"mine\.md"):
        parse(text, Path("mine.md"))


def test_an_edit_changes_the_digest_even_without_a_new_version() -> None:
    first = parse(HEAD.format(inputs="a, b"), Path("mine.md"))
    second = parse(HEAD.format(inputs="a, b").replace("Tell", "Say"), Path("mine.md"))
    assert first.digest != second.digest


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_prompt_can_be_read_and_keeps_the_subject_out_of_its_system_message(path: Path) -> None:
    found = template(path.stem)
    assert found.inputs
    # The system message comes first and may hold what belongs to the dataset alone, so that servers can cache it.
    assert set(prompts._PLACEHOLDER.findall(found.system)) <= {"field"}


def test_an_unknown_prompt_is_named() -> None:
    with pytest.raises(NotFoundError, match="nonsense"):
        template("nonsense")
