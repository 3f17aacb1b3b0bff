"""Publishing: every user's top k with an explanation each, written to the graph and served from one moment to the next.

The new model's edges are written beside the served ones; one transaction then switches the dataset to them. Stopped
anywhere, the model served before is still whole, and the same command goes on. Its edges stay, unseen, until the next
publication, so that going back to it is one transaction too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cikg.errors import ConflictError, InputError
from cikg.graph import Graph, datasets
from cikg.graph.snapshot import Snapshot
from cikg.schema import Label, uid
from cikg.serving import corrections
from cikg.serving.counterfactual import Served
from cikg.serving.lists import everyone, lists
from cikg.serving.ranking import Recommender, known_items

WRITTEN_AT_ONCE = 500
"""Users a transaction."""


@dataclass(frozen=True)
class Published:
    """What a publication did.

    Attributes:
        run: the one that is served now.
        users: users with recommendations.
        recommendations: edges written.
        explained: the share of them that an interest explains, 0 to 1.
    """

    run: str
    users: int
    recommendations: int
    explained: float


def publish(
    graph: Graph,
    snapshot: Snapshot,
    recommender: Recommender,
    k: int = 20,
    progress: Callable[[int], None] | None = None,
) -> Published:
    """Write the recommendations of every user and serve them.

    Args:
        graph: the graph that holds the snapshot's dataset.
        snapshot: the one that the model was trained on.
        recommender: the model.
        k: recommendations a user; items of train and valid are left out.
        progress: called with the number of users done.

    Raises:
        InputError: the model was trained on another snapshot, or k is below 1.
        ConflictError: another publication of this dataset ran at the same time.
    """
    if k < 1:
        raise InputError(f"k is {k}, but at least one recommendation a user is needed")
    if recommender.snapshot_hash != snapshot.hash:
        raise InputError(
            f"the run {recommender.run_id} was trained on the snapshot {recommender.snapshot_hash[:12]}, "
            f"not on {snapshot.hash[:12]}",
            cure="Train again on the present snapshot, or publish with the one that it was trained on",
        )
    dataset = snapshot.dataset
    model = uid(dataset, recommender.run_id)
    graph.write(
        "register_model",
        uid=model,
        dataset=dataset,
        id=recommender.run_id,
        method=str(recommender.manifest.get("method", "")),
        manifest=json.dumps(dict(recommender.manifest), sort_keys=True, default=str),
    )
    served, corrected = Served(snapshot, recommender, known_items(snapshot)), corrections.of(graph, dataset, Label.USER)
    written, explained, seen = 0, 0, hashlib.sha256()
    for rows in lists(served, everyone(served), k, corrected):
        for row in rows:  # not by chunks, whose size is nobody's business
            seen.update(json.dumps(row, sort_keys=True).encode())
        graph.write_rows("write_recommendations", rows, batch=WRITTEN_AT_ONCE, advance=progress, model=model)
        entries = [entry for row in rows for entry in row["items"]]
        written += len(entries)
        explained += sum(entry["because"] is not None for entry in entries)
    done = Published(recommender.run_id, len(snapshot.users.ids), written, explained / max(written, 1))
    facts = {"users": done.users, "explained": done.explained, "digest": seen.hexdigest()}
    if not graph.write("switch_model", dataset=dataset, model=model, expected=written, **facts):
        raise ConflictError(
            f"recommendations of {recommender.run_id} vanished while they were written; the model served before stays",
            cure="Let other publications and imports of this dataset end, then publish again",
        )
    kept = [model, *(row["model"] for row in graph.many("formerly_served", dataset=dataset))]
    stale = graph.many("users_with_other_models", dataset=dataset, models=kept)
    graph.write_rows("remove_other_models", stale, batch=WRITTEN_AT_ONCE, dataset=dataset, models=kept)
    return done


def relist(graph: Graph, served: Served, user: str) -> bool:
    """Make one user's list by the served model anew, so that it heeds what was corrected about the user just now.

    Args:
        graph: the graph.
        served: the model that is served.
        user: the user's id.

    Returns:
        Whether there was a list to make; none is where the user came after the model's snapshot.
    """
    snapshot = served.snapshot
    model = uid(snapshot.dataset, served.recommender.run_id)
    length = graph.one("length_of_list", user=uid(snapshot.dataset, user), model=model)["items"]
    if not length:
        return False
    index = np.array([list(snapshot.users.ids).index(user)])
    corrected = corrections.of(graph, snapshot.dataset, Label.USER, [user])
    for rows in lists(served, index, length, corrected):
        graph.write_together(
            [
                ("count_change", {"dataset": snapshot.dataset}),
                ("write_recommendations", {"model": model, "rows": rows}),
            ]
        )
    return True


def roll_back(graph: Graph, dataset: str, to: str | None = None) -> Published:
    """Serve again what was served before the present model, from one moment to the next. Done twice, it is undone.

    Args:
        graph: the graph.
        dataset: the dataset.
        to: the run that is expected to be served then; where it is served already, nothing changes.

    Raises:
        NotFoundError: there is no such dataset.
        ConflictError: nothing else was ever served, it is not the one expected, its recommendations are gone, or
            another model was published at the same time.
    """
    served = graph.many("served_model", dataset=dataset)
    if not served:
        raise datasets.unknown(graph, dataset)
    if to is not None and served[0]["run"] == to:
        return Published(**graph.many("model_facts", model=served[0]["model"])[0])
    before = graph.many("formerly_served", dataset=dataset)
    if not before:
        raise ConflictError(f"no other model of {dataset!r} was ever served", cure="Publish one with `cikg publish`")
    former = before[0]
    if to is not None and former["run"] != to:
        raise ConflictError(
            f"before the model that is served now it was {former['run']}, not {to}", cure=f"Publish {to} again"
        )
    present = served[0]["model"]
    found = graph.write("serve_former", dataset=dataset, present=present, model=former["model"])
    if not found:
        if graph.many("served_model", dataset=dataset)[0]["model"] != present:
            raise ConflictError(
                f"another model of {dataset!r} was published meanwhile", cure="Look at what is served now, then decide"
            )
        raise ConflictError(
            f"the recommendations of {former['run']} are no longer all there", cure=f"Publish {former['run']} again"
        )
    return Published(**found[0])
