import pytest

from cikg.errors import NotFoundError
from cikg.extraction.job import job, names
from cikg.extraction.pipelines import PIPELINES, Pipeline, pipeline


@pytest.mark.parametrize("each", PIPELINES.values(), ids=lambda each: each.name)
def test_every_stage_is_a_job_or_a_step_and_no_pipeline_is_called_like_a_job(each: Pipeline) -> None:
    assert each.name not in names()
    for stage in each.stages:
        if isinstance(stage, str):
            assert job(stage).name == stage
    named = [stage if isinstance(stage, str) else stage.name for stage in each.stages]
    assert len(set(named)) == len(named), "progress is shown by these names"


def test_an_unknown_pipeline_is_refused_with_those_that_exist() -> None:
    with pytest.raises(NotFoundError, match="ikgr"):
        pipeline("other")
