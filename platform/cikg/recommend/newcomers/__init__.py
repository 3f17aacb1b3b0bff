"""Recommendations, without training again, for users who came later or are known only by a sentence."""
