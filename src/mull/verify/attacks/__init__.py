"""Ways to be paid without being right, by name, and a way to try them all on any reward."""
