"""The operations, found by their modules' names: views of at most ten lines, and what they take and give."""
