"""One file a dataset format; each defines `FORMAT` and is found by it."""
