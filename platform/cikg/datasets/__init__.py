"""Readers of datasets, one file per format, and the loader that writes their records into the graph."""
