"""Recommending, without training, to whoever came later or with a sentence alone."""
