"""Builds the learner and the engine for the machine at hand."""
