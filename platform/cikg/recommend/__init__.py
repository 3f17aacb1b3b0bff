"""The engine: graph views, propagation, losses, sampling, evaluation, and the methods."""
