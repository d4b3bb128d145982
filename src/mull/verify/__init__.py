"""Is this answer right? Rewards, benchmarks, votes and rejection sampling call `verify` and nothing else."""

from mull.verify.extract import final_answer
from mull.verify.registry import VERIFIERS, Verifier, check_gold, verify, verify_response

__all__ = ["VERIFIERS", "Verifier", "check_gold", "final_answer", "verify", "verify_response"]
