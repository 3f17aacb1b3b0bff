"""What the columns of plain tables mean: the mapping, guesses at it, the wizard's conversation, a preview."""
