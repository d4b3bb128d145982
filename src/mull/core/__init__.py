"""The nouns and the files that every other package shares; imports no torch and nothing else of mull."""
