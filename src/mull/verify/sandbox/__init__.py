"""Somebody else's program, run behind walls: what it printed and what it returned, never what it claims."""
