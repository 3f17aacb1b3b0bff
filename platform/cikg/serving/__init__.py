"""What is served: publishing, recommendations and their explanations."""
