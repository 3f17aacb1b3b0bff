from __future__ import annotations

from cikg.digests import digest


def test_the_digest_is_the_same_in_every_process_and_order_of_keys() -> None:
    wanted = "6bafd57c7869b3aca54e576a5157b40cc195c8486124cab93d52f1b59556838e"
    assert digest({"b": [1, "ü"], "a": None}) == digest({"a": None, "b": [1, "ü"]}) == wanted
    assert digest({"b": ["ü", 1], "a": None}) != wanted
