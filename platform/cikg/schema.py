"""The graph's one vocabulary: labels, relationship types, keys.

Every node carries `dataset`, `id` (the user's own, always shown) and `uid`, which is unique in its label.
Dense tensor indices live in snapshots, never here.
"""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum

from cikg.digests import digest
from cikg.errors import InputError


class Label(StrEnum):
    """Node labels."""

    DATASET = "Dataset"
    USER = "User"
    ITEM = "Item"
    ENTITY = "Entity"
    INTENT = "Intent"  # a phrase that an LLM extracted
    INTEREST = "Interest"  # a cluster of intents
    PROFILE = "Profile"  # a text that an LLM refined about a user or an item
    RUN = "Run"  # one job or one training, with its parameters and state
    SUBJECT = "Subject"  # one unit of a run's work: the ledger's row
    COMPLETION = "Completion"  # one answer of an LLM
    MODEL = "Model"  # one trained recommender that can be published
    MIGRATION = "Migration"  # one applied file of cypher/schema
    ACCOUNT = "Account"  # who may use the platform; like the next three, of no dataset
    TOKEN = "Token"  # noqa: S105 - a label: what a program shows instead of a password
    AUDIT = "Audit"  # one change, and who made it
    QUERY = "Query"  # a statement that someone kept
    SCHEMA_LOCK = "SchemaLock"  # whoever holds this node alone may make indexes; it belongs to no dataset


class Relationship(StrEnum):
    """Relationship types of the platform; item facts add types of their own (`relationship_type`)."""

    INTERACTED = "INTERACTED"  # (User)->(Item) {rating, at, split}
    POSSESSES = "POSSESSES"  # (User)->(Intent), LLM-made {run, completion, round, evidence}
    SATISFIES = "SATISFIES"  # (Item)->(Intent), LLM-made {run, completion, round, evidence}
    DESCRIBES = "DESCRIBES"  # (Profile)->(User|Item), LLM-made
    SAME_AS = "SAME_AS"  # (Intent)->(Intent), a judgement that both mean the same {state, method, score, history}
    MEMBER_OF = "MEMBER_OF"  # (Intent)->(Interest)
    HAS_INTEREST = "HAS_INTEREST"  # (User)->(Interest), LLM-made
    RECOMMENDED = "RECOMMENDED"  # (User)->(Item) {rank, score, model, because, support}


class Split(StrEnum):
    """What an interaction may be used for. Extraction reads `train` alone."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


SPLIT_KEYS = ("split", "test_share", "valid_share", "split_seed", "valid_from", "test_from")
"""Properties of a dataset that say how it was split; those that had no part in it are absent."""


class State(StrEnum):
    """The state of a run or of one of its subjects."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CANCELLED = "cancelled"
    PAUSED = "paused"  # of a run alone: it goes on when a person says so


class SplitCode(IntEnum):
    """The splits as numbers, as columns hold them."""

    TRAIN = 0
    VALID = 1
    TEST = 2


_DATASET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


def dataset_name(name: str) -> str:
    """Return `name` if it can name a dataset: lower-case letters, digits, `.`, `_`, `-`, at most 64.

    A colon cannot occur, so that `uid` is unambiguous.

    Raises:
        InputError: it cannot.
    """
    if not _DATASET_NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be the name of a dataset",
            cure="Use 1 to 64 lower-case letters, digits, '.', '_' or '-', beginning and ending with a letter or digit",
        )
    return name


def uid(dataset: str, identifier: str) -> str:
    """The unique key of a node within its label: `dataset:id`."""
    return f"{dataset}:{identifier}"


def relationship_type(relation: str) -> str:
    """Make a relationship type from a dataset's own relation name.

    `http://dbpedia.org/ontology/literaryGenre` and `literary genre` both become `LITERARY_GENRE`. A name that would
    collide with one of the platform's own types is prefixed with `FACT_`. One in a script without Latin letters becomes
    `FACT_` and eight digits of its own: Cypher would want any other letter quoted.

    Raises:
        InputError: no letter or digit is left in the name.
    """
    local = relation.strip().rstrip("/#")
    if "://" in local:
        local = re.split(r"[/#]", local)[-1]
    foreign = any(character.isalnum() and not character.isascii() for character in local)
    if foreign and not re.search(r"[A-Za-z]", local):
        return f"FACT_{digest(local)[:8].upper()}"
    local = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", local)
    local = re.sub(r"[^A-Za-z0-9]+", "_", local).strip("_").upper()
    if not local:
        raise InputError(
            f"the relation {relation!r} has no letter or digit to make a relationship type from",
            cure="Name it with letters or digits",
        )
    if local in Relationship.__members__ or local[0].isdigit():
        local = f"FACT_{local}"
    return local


def relation_in_words(relation: str) -> str:
    """A relation as a person says it: `literary genre` from `http://dbpedia.org/ontology/literaryGenre` or its type."""
    local = re.split(r"[/#]", relation.rstrip("/#"))[-1] if "://" in relation else relation
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", local).replace("_", " ").split()
    return " ".join(words).lower() or relation
