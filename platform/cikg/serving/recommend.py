"""Reading one user's recommendations from the graph, each with the sentence that explains it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from cikg.errors import NotFoundError
from cikg.graph import Graph, datasets
from cikg.graph.database import Row
from cikg.schema import relation_in_words, uid

WEAK_LIFT = 1.25


@dataclass(frozen=True)
class InterestReason:
    """Users with one of the user's interests chose the item more often than others.

    Attributes:
        id: id of the interest.
        name: its name.
        support: number of users with the interest who chose the item.
        cohort: number of users with the interest.
        share: share of all users who chose the item, from 0 to 1.
    """

    id: str
    name: str
    support: int
    cohort: int
    share: float

    @property
    def lift(self) -> float:
        """How many times more often holders read the item than all users do."""
        return self.support / self.cohort / self.share if self.cohort and self.share else 0.0

    @property
    def is_weak(self) -> bool:
        """Whether holders read the item hardly more often than all users do, so that nobody should think much of it."""
        return self.lift < WEAK_LIFT


@dataclass(frozen=True)
class FactReason:
    """The item shares a fact with an item in the user's history.

    Attributes:
        relation: the relation of the fact.
        entity: id of the entity that both have in common.
        entity_name: its name.
        known: id of the item in the user's history.
        known_name: its name.
    """

    relation: str
    entity: str
    entity_name: str
    known: str
    known_name: str


@dataclass(frozen=True)
class Recommendation:
    """One recommended item.

    Attributes:
        rank: from 1.
        item: its id.
        name: its name.
        score: the model's score; comparable only within one user's list.
        shares: what each expert of a mixture adds to the score, greatest first; empty for other models.
        interest: the interest that explains it, if one does.
        fact: otherwise the shared fact that explains it, if there is one.
        because: the explanation as a sentence.
    """

    rank: int
    item: str
    name: str
    score: float
    shares: dict[str, float]
    interest: InterestReason | None
    fact: FactReason | None
    because: str

    @property
    def makeup(self) -> str:
        """What the score is the sum of: `2.14 = graph 1.20 + linear 0.98 - popularity 0.04`; nothing for one model."""
        terms = "".join(f" {'-' if share < 0 else '+'} {name} {abs(share):.2f}" for name, share in self.shares.items())
        return f"{self.score:.2f} = {terms.removeprefix(' + ')}" if terms else ""


@dataclass(frozen=True)
class Recommendations:
    """What is recommended to one user.

    Attributes:
        dataset: the dataset.
        user: the user's id.
        name: the user's name, if known.
        run: the training run that is served.
        method: its method.
        outdated: whether a correction of the user was made or undone after the list was made.
        items: in order of rank.
    """

    dataset: str
    user: str
    name: str | None
    run: str
    method: str
    outdated: bool
    items: tuple[Recommendation, ...]


@dataclass(frozen=True)
class Served:
    """What is served to one user, if anything.

    Attributes:
        known: whether there is such a user.
        name: the user's name, if known.
        run: the run that is served; None where nothing is published.
        method: its method.
        items: in order of rank.
        outdated: whether something was corrected about the user, or that taken back, since the list was made.
    """

    known: bool
    name: str | None
    run: str | None
    method: str | None
    items: tuple[Recommendation, ...]
    outdated: bool


def recommend(graph: Graph, dataset: str, user: str, k: int = 10) -> Recommendations:
    """Read the served recommendations of one user.

    Raises:
        NotFoundError: there is no such dataset or user, or nothing is published.
    """
    served = read(graph, dataset, user, k)
    if served is None:
        raise datasets.unknown(graph, dataset)
    if not served.known:
        raise _unknown_user(graph, dataset, user)
    if served.run is None or served.method is None:
        raise NotFoundError(
            f"no model of {dataset!r} is published",
            cure=f"Run `cikg train mixture --dataset {dataset}`, then `cikg publish RUN --dataset {dataset}`",
        )
    return Recommendations(dataset, user, served.name, served.run, served.method, served.outdated, served.items)


def read(graph: Graph, dataset: str, user: str, k: int) -> Served | None:
    """What a dataset serves to a user, without checks; None where there is no such dataset."""
    found = graph.many("served_to", dataset=dataset, user=uid(dataset, user), k=k)
    if not found:
        return None
    rows: list[Row] = found[0]["items"]
    unexplained = [row["item_uid"] for row in rows if row["interest"] is None]
    facts = graph.many("shared_facts", user=uid(dataset, user), items=unexplained) if unexplained else []
    by_item = {row.pop("item_uid"): FactReason(**row) for row in facts}
    items = tuple(_recommendation(row, by_item.get(row["item_uid"])) for row in rows)
    outdated = any(row["corrected"] != found[0]["corrected"] for row in rows)
    known = {name: found[0][name] for name in ("known", "name", "run", "method")}
    return Served(**known, items=items, outdated=outdated)


def _recommendation(row: Row, fact: FactReason | None) -> Recommendation:
    interest = None
    if row["interest"] is not None:
        interest = InterestReason(row["interest"], row["interest_name"], row["support"], row["cohort"], row["share"])
    shares = sorted(zip(row["experts"], row["shares"], strict=True), key=lambda pair: -pair[1])
    because = sentence(interest, fact)
    return Recommendation(row["rank"], row["item"], row["name"], row["score"], dict(shares), interest, fact, because)


def sentence(interest: InterestReason | None, fact: FactReason | None) -> str:
    """Say an explanation in one sentence."""
    if interest is not None:
        compared = "hardly more than the" if interest.is_weak else "against"
        return (
            f"{interest.support} of {interest.cohort} who share the interest “{interest.name}” chose it: "
            f"{_percent(interest.support / interest.cohort)}, {compared} {_percent(interest.share)} of everyone"
        )
    if fact is not None:
        relation = relation_in_words(fact.relation)
        return f"Shares “{fact.entity_name}” ({relation}) with “{fact.known_name}” from the history"
    return "No single interest or fact explains it: the model drew on the history as a whole"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _unknown_user(graph: Graph, dataset: str, user: str) -> NotFoundError:
    candidates = [row["id"] for row in graph.many("near_users", dataset=dataset, id=user)]
    likeness = {other: difflib.SequenceMatcher(None, user, other).ratio() for other in candidates}
    near = sorted(
        (other for other in candidates if likeness[other] >= 0.5), key=lambda other: (-likeness[other], other)
    )[:3]
    hint = f"Did you mean {', '.join(near)}?" if near else "The dashboard's list of users shows every id"
    return NotFoundError(f"{dataset!r} has no user {user!r}", cure=hint)
