"""Behaviours of chains, read from their text."""
