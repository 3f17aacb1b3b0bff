"""Readers of datasets, one file a format, and the loader that puts their records into the graph."""
