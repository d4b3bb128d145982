"""Tensor maths of training: advantages, losses, aggregation, packing, logprobs. Knows no model and no engine."""
