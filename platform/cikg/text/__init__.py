"""Text as vectors, and clusters of them."""
