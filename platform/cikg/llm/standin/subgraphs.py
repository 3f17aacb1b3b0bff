"""What the stand-in says in SeeKRec's stages: preferences, phrases that mean the same, what to keep of a neighbourhood.

As everywhere in it, the rules count what the prompt shows. A preference that few choices show, beside one that many
show, is taken for a stray one; two edges that say something of what an item is are enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from cikg.llm.standin.wording import UnreadableRequestError, read_history, rows, strongest_topics, telling_words

_LONGEST_PROFILE = {"UserProfile": 150, "ItemProfile": 200}
_ABOUT_USERS = frozenset({"chose", "likes"})
_NEAR = frozenset({"resembles", "chosen together with"})
_TELL_NOTHING = frozenset(
    ["a", "about", "an", "and", "books", "classic", "for", "in", "of", "on", "stories", "tales", "the", "to", "with"]
)
_TELL_LITTLE = frozenset({"language", "country", "period"})


def user_preferences(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `UserPreferences`: the topics that most of a history has in common, as they stand there.

    Raises:
        UnreadableRequestError: no user message holds JSON lines between `<history>` and `</history>`.
    """
    topics = strongest_topics(read_history(messages))
    return {"preferences": [{"phrase": topic, "evidence": evidence} for topic, evidence in topics]}


def preference_alignment(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `PreferenceAlignment`: phrases of the same telling words, in any order and number, into the shortest.

    Raises:
        UnreadableRequestError: no user message holds phrases between `<phrases>` and `</phrases>`.
    """
    groups: dict[frozenset[str], list[tuple[int, int]]] = defaultdict(list)
    for row in _lines(messages, "phrases"):
        words = set(str(row["phrase"]).casefold().replace(",", " ").split()) - _TELL_NOTHING
        groups[frozenset(word.removesuffix("s") for word in words)].append((len(row["phrase"]), int(row["n"])))
    merges = []
    for group in groups.values():
        (_, into), *others = sorted(group)
        if others:
            merges.append({"into": into, "merged": [number for _, number in others]})
    return {"merges": merges}


def subgraph_pruning(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `SubgraphPruning`: what agrees with the rest.

    Raises:
        UnreadableRequestError: no user message holds edges between `<edges>` and `</edges>`.
    """
    edges = _lines(messages, "edges")
    keeps = _of_user if any(edge["edge"] in _ABOUT_USERS for edge in edges) else _of_item
    return {"kept": keeps(edges)}


def _of_user(edges: list[dict[str, Any]]) -> list[int]:
    """Likings that half as many choices show as the best shown one, these choices, and what two choices share."""
    shown = {edge["n"]: len(edge.get("shown_by", ())) for edge in edges if edge["edge"] == "likes"}
    likes = {number for number, count in shown.items() if 2 * count >= max(shown.values())}
    typical = {name for edge in edges if edge["n"] in likes for name in edge.get("shown_by", ())}
    chosen = {edge["n"] for edge in edges if edge["edge"] == "chose" and (edge["to"] in typical or not typical)}
    shared = {edge["n"] for edge in edges if edge["edge"] not in _ABOUT_USERS and len(edge.get("from", ())) > 1}
    return sorted(likes | chosen | shared)


def _of_item(edges: list[dict[str, Any]]) -> list[int]:
    """Facts, intents that share a word with one of them, and neighbours that share two things or users."""
    facts = [edge for edge in edges if edge["edge"] not in {"serves", *_NEAR}]
    told = set(chain.from_iterable(telling_words(str(fact["to"])) for fact in facts))
    kept = []
    for edge in edges:
        if edge["edge"] == "serves":
            keep = not told or bool(told & telling_words(str(edge["to"])))
        elif edge["edge"] in _NEAR:
            keep = len(edge.get("through", ())) > 1 or edge.get("count", 0) > 1
        else:
            keep = edge["edge"] not in _TELL_LITTLE
        kept += [int(edge["n"])] if keep else []
    return kept


def subgraph_evaluation(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `SubgraphEvaluation`: a liking and two choices are enough, or three edges about choices; of an item two.

    Raises:
        UnreadableRequestError: no user message holds edges between `<edges>` and `</edges>`.
    """
    kinds = [edge["edge"] for edge in _lines(messages, "edges", empty=True)]
    if _ABOUT_USERS.isdisjoint(kinds):
        enough = len(kinds) >= 2
    else:
        about = sum(kind not in _ABOUT_USERS for kind in kinds)
        enough = ("likes" in kinds and kinds.count("chose") >= 2) or about >= 3
    return {"verdict": "SUFFICIENT" if enough else "INSUFFICIENT"}


def user_profile(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `UserProfile`: the edges in words.

    Raises:
        UnreadableRequestError: no user message holds edges between `<edges>` and `</edges>`.
    """
    by_kind = _by_kind(_lines(messages, "edges"))
    chosen, likes = by_kind.pop("chose", []), by_kind.pop("likes", [])
    said = [f"This person looks for {_listed(likes)}." if likes else "", _facts_in_words(by_kind)]
    said.append(f"Typical choices are {_listed(chosen)}." if chosen else "")
    return {"profile": _cut(said, "UserProfile")}


def item_profile(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Answer `ItemProfile`: the item's title, its edges in words, and its text.

    Raises:
        UnreadableRequestError: no user message holds the item and its edges between `<edges>` and `</edges>`.
    """
    lines = _lines(messages, "edges")
    known = lines[0] if "edge" not in lines[0] else {}
    by_kind = _by_kind(line for line in lines if "edge" in line)
    serves = by_kind.pop("serves", [])
    said = [f"{known['title']}." if "title" in known else ""]
    said.append(f"It suits who looks for {_listed(serves)}." if serves else "")
    said += [_facts_in_words(by_kind), str(known.get("text", ""))]
    return {"profile": _cut(said, "ItemProfile")}


def _lines(messages: Sequence[Mapping[str, str]], block: str, *, empty: bool = False) -> list[dict[str, Any]]:
    try:
        found = rows(messages, block)
    except ValueError as error:
        raise UnreadableRequestError(f"a line of <{block}> cannot be read: {error}") from None
    if not found and not empty:
        raise UnreadableRequestError(f"no user message holds JSON lines between <{block}> and </{block}>")
    return found


def _by_kind(edges: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for edge in edges:
        found[edge["edge"]].append(str(edge["to"]))
    return found


def _facts_in_words(by_kind: Mapping[str, Sequence[str]]) -> str:
    return " ".join(f"{kind[:1].upper()}{kind[1:]}: {_listed(names)}." for kind, names in by_kind.items())


def _listed(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:-1]) + (" and " if len(unique) > 1 else "") + unique[-1]


def _cut(said: Sequence[str], schema: str) -> str:
    words = " ".join(filter(None, said)).split()[: _LONGEST_PROFILE[schema]]
    return " ".join(words) or "Nothing is known."


RULES: Mapping[str, Callable[[Sequence[Mapping[str, str]]], dict[str, Any]]] = {
    "UserPreferences": user_preferences,
    "PreferenceAlignment": preference_alignment,
    "SubgraphPruning": subgraph_pruning,
    "SubgraphEvaluation": subgraph_evaluation,
    "UserProfile": user_profile,
    "ItemProfile": item_profile,
}
"""The rule for each answer schema, by the schema's name."""
