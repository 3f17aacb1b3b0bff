"""Errors of the API, as RFC 9457 has them: `application/problem+json`."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Response, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

MEDIA_TYPE = "application/problem+json"
PREFIX = "/api/"
REASONS = {
    400: "The request cannot be read, or makes no sense for this dataset",
    401: "There is no valid token or session",
    403: "The token or session lacks the scope",
    404: "Something that the request names does not exist",
    409: "The state of something does not allow it, or a request with the same Idempotency-Key is running",
    413: "The body is too large",
    415: "The body is not `application/json`",
    422: "A parameter or a part of the body is invalid; `errors` says which",
    429: "Too many requests; `Retry-After` says how long to wait",
    503: "Neo4j, Redis or the LLM does not answer",
    504: "The statement took longer than allowed",
}
"""What each status of an error means."""


class Fault(BaseModel):
    """One invalid part of a request."""

    model_config = ConfigDict(title="Fault")

    location: str = Field(description="Which part: `body.users.0`, `query.limit`, …")
    message: str = Field(description="What is wrong with it")


class Problem(BaseModel):
    """An error, as RFC 9457 defines it."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="`urn:cikg:problem:` followed by the code")
    title: str = Field(description="The HTTP status in words")
    status: int = Field(description="The HTTP status")
    detail: str = Field(description="What is wrong, in one sentence")
    code: str = Field(description="What is wrong, for programs: `not_found`, `query_not_read_only`, …")
    cure: str | None = Field(None, description="What to do, in one sentence")
    instance: str = Field(description="The requested path")
    errors: list[Fault] = Field(default_factory=list, description="The invalid parts of the request")


def asked() -> bool:
    """Whether this request is one to the API, so that an error has to be a problem."""
    return request.path.startswith(PREFIX)


def answer(
    status: int, detail: str, cure: str | None = None, code: str | None = None, faults: Sequence[Fault] = ()
) -> Response:
    """A problem as an answer. The code is that of the status unless given."""
    title = HTTPStatus(status).phrase
    named = code or title.lower().replace(" ", "_").replace("-", "_")
    problem = Problem(
        type=f"urn:cikg:problem:{named}",
        title=title,
        status=status,
        detail=detail.encode("utf-8", "replace").decode(),
        code=named,
        cure=cure,
        instance=request.path.encode("utf-8", "replace").decode(),
        errors=list(faults),
    )
    return Response(to_json(problem), status, mimetype=MEDIA_TYPE)


def unusable(where: str, error: ValidationError) -> Response:
    """The answer to a request that its schema does not allow."""
    faults = [
        Fault(location=".".join(map(str, (where, *each["loc"]))), message=each["msg"])
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    said = f"{faults[0].location}: {faults[0].message}"
    return answer(422, said, cure="/api/v1/docs describes what is allowed", faults=faults)


def document() -> dict[str, Any]:
    """The schema of a problem, as the OpenAPI document refers to it."""
    return {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
