"""One file an LLM job; each defines `JOB` and is found by it."""
