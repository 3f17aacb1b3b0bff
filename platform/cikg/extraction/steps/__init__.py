"""Steps of a pipeline that ask no LLM: vectors, interests, merged intents."""
