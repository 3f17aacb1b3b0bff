"""Imports that are prepared on a page or over the API: files that were sent, what they mean, carrying them out."""
