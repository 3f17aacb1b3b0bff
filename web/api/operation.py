"""What an operation of the API is: a view with the models of what it takes and gives, from which all else follows.

A view gets validated values and returns a value of its declared type. Reading, checking, refusing, validators,
idempotency, the log of changes and the OpenAPI document are done here, once for all.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, current_app, g, request
from flask_wtf import CSRFProtect
from pydantic import BaseModel, TypeAdapter, ValidationError
from werkzeug.exceptions import UnsupportedMediaType

from cikg import __version__
from cikg.access import audit
from cikg.access.accounts import Scope
from cikg.errors import NotFoundError
from web import login, store
from web.api import idempotency, problems, strict_json
from web.api.answers import Answers
from web.parts import receiving

View = TypeVar("View", bound=Callable[..., Any])
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        method: GET, POST, PUT, PATCH or DELETE.
        rule: its path below `/api/v1`, as Flask writes it.
        view: called with path parameters, and with `query` and `body` where it takes them.
        tag: the heading it stands under.
        answer: the type of what it returns; None for an empty answer (204).
        query: the model of its query string.
        body: the model of its JSON body.
        sends: what its body is, in words, where that is a file: the view reads `request.stream`.
        scope: what a caller needs.
        status: of its answer.
        conflicts: whether it may be refused with 409.
        versioned: whether its answer follows from the dataset and the served model alone, so that an unchanged one need
            not be made again.
        logged: whether a success goes into the log of changes here; access and its relatives write their own entries.
        public: whether a stranger may call it.
        reads: whether it only reads although it is a POST, so that sending it twice is harmless.
        secret: whether its answer holds a secret.
        refusals: further errors that it can answer with.
    """

    method: str
    rule: str
    view: Callable[..., Any]
    tag: str
    answer: Any
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    sends: str = ""
    scope: Scope = Scope.READ
    status: int = 200
    conflicts: bool = False
    versioned: bool = False
    logged: bool = True
    public: bool = False
    reads: bool = False
    secret: bool = False
    refusals: tuple[int, ...] = ()
    adapter: TypeAdapter[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "adapter", TypeAdapter(self.answer))

    @property
    def name(self) -> str:
        """Its id in the OpenAPI document."""
        return f"{self.view.__module__.rpartition('.')[2]}.{self.view.__name__}"

    @property
    def changes(self) -> bool:
        """Whether it changes something, so far as HTTP's method says."""
        return self.method != "GET"

    @property
    def takes_key(self) -> bool:
        """Whether an `Idempotency-Key` lets it be carried out once."""
        return self.method == "POST" and not self.reads


OPERATIONS: list[Operation] = []
"""All of them, in the order in which the document shows them."""


blueprint = Blueprint("api", __name__, url_prefix="/api/v1")


def operation(method: str, rule: str, **facts: Any) -> Callable[[View], View]:
    """Serve a view as an operation; `facts` are the fields of `Operation`."""

    def register(view: View) -> View:
        made = Operation(method, rule, view, **facts)
        OPERATIONS.append(made)

        @functools.wraps(view)
        def serve(**path: Any) -> Response:
            return _serve(made, path)

        serve.scope, serve.is_public = made.scope, made.public  # type: ignore[attr-defined]
        blueprint.add_url_rule(rule, made.name.replace(".", "_"), serve, methods=[method])
        return view

    return register


class RefusedError(Exception):
    """A request that is answered with a problem."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


def dataset_state(dataset: str) -> dict[str, Any]:
    """Version and served model of a dataset.

    Raises:
        NotFoundError: there is no such dataset.
    """
    found = store.graph().many("dataset_state", dataset=dataset)
    if not found:
        raise NotFoundError(f"there is no dataset {dataset!r}", cure="GET /api/v1/datasets lists all of them")
    return found[0]


def _serve(made: Operation, path: dict[str, Any]) -> Response:
    try:
        if made.changes and not login.by_token() and not made.public:
            _protect()
        values = dict(path)
        if made.sends:
            request.max_content_length = receiving.most_bytes()
        if made.query is not None:
            values["query"] = _read("query", made.query, _query())
        if made.body is not None:
            values["body"] = _read("body", made.body, _body())
        return _once(made, path, values) if made.changes else _fresh(made, path, values)
    except RefusedError as refused:
        return refused.answer


def _protect() -> None:
    """A browser sends its session to us from any site: what changes something needs the token of a page of ours."""
    protection: CSRFProtect = current_app.extensions["csrf"]
    protection.protect()


def _query() -> dict[str, Any]:
    """The query string; a name that occurs several times has a list."""
    values = request.args.to_dict(flat=False)
    return {name: given[0] if len(given) == 1 else given for name, given in values.items()}


def _body() -> Any:
    if request.mimetype != JSON:
        raise UnsupportedMediaType
    try:
        return strict_json.loads(request.get_data())
    except ValueError as error:
        raise RefusedError(problems.answer(400, f"the body is not valid JSON: {error}")) from None


def _read(where: str, model: type[BaseModel], given: Any) -> BaseModel:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise RefusedError(problems.unusable(where, error)) from None


def _fresh(made: Operation, path: dict[str, Any], values: dict[str, Any]) -> Response:
    """Answer a question, or say that the caller's copy of the answer is still right."""
    state = dataset_state(path["dataset"]) if "dataset" in path else {}
    if not made.versioned:
        content = _content(made, values)
        response = _validated(_answered(made, content), _digest(content))
        response.make_conditional(request)
        return response
    facts = (made.name, request.full_path, *sorted((name, str(each)) for name, each in state.items()))
    tag = _digest(repr((__version__, *facts)).encode())
    if tag in request.if_none_match:
        return _validated(Response(status=304), tag)
    answers: Answers = current_app.extensions["cikg.answers"]
    kept = answers.get(tag)
    content = _content(made, values) if kept is None else kept
    if kept is None and "next_cursor" not in g:  # the header `Link` comes from making it
        answers.keep(tag, content)
    return _validated(_answered(made, content), tag)


def _content(made: Operation, values: dict[str, Any]) -> bytes:
    return made.adapter.dump_json(_checked(made, made.view(**values)))


def _answered(made: Operation, content: bytes) -> Response:
    response = Response(content, made.status, mimetype=JSON)
    _link(response)
    return response


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:20]


def _validated(response: Response, tag: str) -> Response:
    response.set_etag(tag)
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.update(("Authorization", "Cookie"))
    return response


def _once(made: Operation, path: dict[str, Any], values: dict[str, Any]) -> Response:
    """Carry a change out, once for each `Idempotency-Key`, and log it."""
    with idempotency.once(made.takes_key) as kept:
        if kept.answer is not None:
            return kept.answer
        if "dataset" in path:
            dataset_state(path["dataset"])
        value = _checked(made, made.view(**values))
        empty = made.answer is None
        response = Response(
            None if empty else made.adapter.dump_json(value), made.status, mimetype=None if empty else JSON
        )
        if made.logged:
            audit.record(store.graph(), login.caller().name, made.name, request.path, g.get("audited"))
        kept.keep(response, secret=made.secret)
        return response


def _checked(made: Operation, value: Any) -> Any:
    """The value in its declared type: rows become models; what the document does not promise is an error of ours."""
    return made.adapter.validate_python(value, from_attributes=True)


def _link(response: Response) -> None:
    """The address of a list's next page, as a header too (RFC 8288)."""
    if cursor := g.get("next_cursor"):
        arguments = request.args.to_dict(flat=False) | {"cursor": [cursor]}
        response.headers["Link"] = f'<{quote(request.path)}?{urlencode(arguments, doseq=True)}>; rel="next"'


def bad_request(detail: str, cure: str | None = None) -> RefusedError:
    """A request that makes no sense although its schema allows it."""
    return RefusedError(problems.answer(400, detail, cure))
