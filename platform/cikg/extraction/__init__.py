"""LLM jobs, one file each: plan, work and apply without I/O; the ledger and the runner carry them."""
