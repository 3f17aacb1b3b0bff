"""Imports prepared on a page or over the API: uploaded files, what they mean, and running the import."""
