"""From problems to groups of scored completions."""
