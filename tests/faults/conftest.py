"""The readers, stand-ins and workers that the tests of jobs use."""

from tests.integration.extraction.conftest import (  # noqa: F401
    cikg,
    job_settings,
    own_standin,
    place,
    planted,
    shared_standin,
    standin,
    worker,
)
