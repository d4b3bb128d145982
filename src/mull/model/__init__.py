"""Hugging Face causal language models: loaded, made, saved, and attended to by one function."""
