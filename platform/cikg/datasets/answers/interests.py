"""Imports which interests users have, as inferred elsewhere: CIKGRec's clustered interests, for example.

A file says all of it: interests that were imported before, by this or with the dataset, are replaced in one
transaction; those that clustering made stay. Imported edges name no evidence, and what is trained on them is told so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from typing_extensions import override

from cikg.datasets.answers import files, importing
from cikg.datasets.answers.importing import KIND, Answers, AnswersReport, NumberMap, Options, unready
from cikg.datasets.formats import cikgrec
from cikg.datasets.reading.source import Source
from cikg.datasets.reading.values import bare_name
from cikg.digests import digest
from cikg.graph import Graph
from cikg.progress import Progress
from cikg.schema import uid


def load(graph: Graph, file: Path, dataset: str, **options: Unpack[Options]) -> AnswersReport:
    """Import which interests users have.

    Args:
        graph: where to.
        file: the interests, as `files.read_interests` takes them.
        dataset: the dataset whose users they are about.
        **options: see `Options`.

    Returns:
        What was found; `written` and `standing` count edges from users to interests.

    Raises:
        InputError: the file is wrong in some way; nothing was written.
        NotFoundError: there is no such dataset.
        ConflictError: it is not whole, or was changed in the meantime.
    """
    return importing.load(_Interests(graph, dataset, options.get("model", "unknown")), file, **options)


class _Interests(Answers):
    """Interests that users have.

    Attributes:
        names: of interests by id, which is the name without case.
        held: pairs of users and interests, once each, sorted.
    """

    about = "user"
    remark = (
        "Imported interests have no evidence. Whoever inferred them may have seen interactions that are in valid "
        "or test here, so models that use them may look better than they are."
    )
    names: dict[str, str]
    held: list[tuple[str, str]]

    @override
    def list_beside(self, file: Path, format: str | None) -> Path | None:
        """See `Answers`."""
        published = format == cikgrec.FORMAT.name and bare_name(file) == cikgrec.INTERESTS
        return Source(file.parent).optional(cikgrec.USERS) if published else None

    @override
    def read(self, source: Source, numbers: NumberMap | None) -> None:
        """Read all interests, and whether just these stand already."""
        self.names, self.held = _known(self.graph, self.dataset, source, numbers)
        self.run_id = f"{KIND}-{digest(['interests', self.model, self.names, self.held])[:16]}"
        standing = self._runs() == [{"run": uid(self.dataset, self.run_id)}]
        self.written, self.standing = (0, len(self.held)) if standing else (len(self.held), 0)

    @override
    def write(self, report: AnswersReport, progress: Progress) -> None:
        """Replace what was imported before.

        Raises:
            ConflictError: the dataset is being changed.
        """
        if not self.written:
            return
        run, names, dataset = uid(self.dataset, self.run_id), self.names, self.dataset
        interests = [{"uid": uid(dataset, each), "id": each, "name": names[each]} for each in sorted(names)]
        edges = [{"user": uid(dataset, user), "interest": uid(dataset, interest)} for user, interest in self.held]
        described = report.run_properties(len(self.held), "user interests") | {"report": report.as_json()}
        self.graph.write_together(
            [
                ("clear_imported_interests", {"dataset": dataset, "kept": [row["uid"] for row in interests]}),
                ("write_imported_interests", {"dataset": dataset, "run": run, "interests": interests, "rows": edges}),
                ("record_run", {"run": run, "properties": described}),
            ]
        )
        if self._runs() != [{"run": run}]:
            raise unready(dataset)

    def _runs(self) -> list[dict[str, str]]:
        return self.graph.many("imported_interest_runs", dataset=self.dataset)


def _known(
    graph: Graph, dataset: str, source: Source, numbers: NumberMap | None
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The names of interests by id, which is the name without case, and the pairs of users and interests, once each."""
    users = {row["user"] for row in graph.many("dataset_users", dataset=dataset)}
    names: dict[str, str] = {}
    held: set[tuple[str, str]] = set()
    for each in files.read_interests(source):
        user, interest = numbers.original(each.id) if numbers else each.id, each.interest.casefold()
        if user is None:
            source.reject(f"{each.id[:100]!r} is not a number in {numbers and numbers.name}")
        elif user not in users:
            source.reject(f"the dataset has no user {user[:100]!r}")
        else:
            held.add((user, interest))
            name = f"interest {interest}" if interest.isdecimal() else each.interest
            names[interest] = min(name, names.get(interest, name))
    return names, sorted(held)
