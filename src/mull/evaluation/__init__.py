"""Measuring models on fixed problems."""
