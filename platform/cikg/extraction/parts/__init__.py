"""What jobs are made of: what prompts show, and how answers are checked."""
