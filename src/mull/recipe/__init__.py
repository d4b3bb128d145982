"""Recipes: stages as a graph, run once and resumed, and the report of a run."""
