"""The stand-in LLM: a server that speaks OpenAI's API and answers by rule, for demos and tests without a model.

It understands nothing. It counts what a history has in common and words the result; its answers are deterministic.
Run it with `python -m cikg.llm.standin --port 8089`.
"""

from cikg.llm.standin.server import MODEL, StandIn

__all__ = ["MODEL", "StandIn"]
