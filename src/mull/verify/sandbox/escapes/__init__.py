"""Ways out of a sandbox, each by its name, and what each wall is expected to stop; `mull doctor` tries them."""
