"""One file per dataset format; each defines `FORMAT` and is found by it."""
