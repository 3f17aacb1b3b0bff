"""What methods may see of a snapshot: nodes, views, intents, sequences and examples, as columns."""
