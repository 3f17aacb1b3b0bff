"""What the configured provider says that it offers."""

from __future__ import annotations

from contextlib import suppress

from cikg.errors import SettingsError, UnreachableError
from cikg.llm.answers import address_and_model
from cikg.settings import Settings

_PATIENCE = 5.0
"""Seconds for an answer about models."""


def lacks(settings: Settings, model: str) -> bool:
    """Whether a process with these settings cannot ask a model: it has no LLM, or one that says it has no such model.

    The settings' own model counts as there, and so does whatever the provider does not tell about: not all of them list
    their models, and some take names that they do not list.
    """
    try:
        address, own = address_and_model(settings)
    except (UnreachableError, SettingsError):
        return True
    if model == own:
        return False
    import openai  # noqa: PLC0415 - loads slowly, and is seldom asked

    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else "none"
    staying = openai.DefaultHttpxClient(follow_redirects=False)
    with (
        openai.OpenAI(base_url=address, api_key=key, timeout=_PATIENCE, max_retries=0, http_client=staying) as client,
        suppress(openai.OpenAIError, AttributeError, ValueError),  # the last two where it answers in a form of its own
    ):
        if model in {each.id for each in client.models.list()}:
            return False
        try:
            client.models.retrieve(model)
        except openai.NotFoundError:
            return True
    return False
