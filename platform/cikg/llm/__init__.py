"""The client for anything that speaks OpenAI's API, the prompts, and the offline stand-in."""
