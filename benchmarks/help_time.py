"""Wall time of `mull --help`, the best and the median of some runs; it should answer in under 0.3 s.

.venv/bin/python benchmarks/help_time.py [RUNS]
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """Print the times."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    beside = Path(sys.executable).with_name("mull")
    command = [str(beside)] if beside.exists() else [shutil.which("mull") or sys.exit("no mull here: install it first")]
    times = []
    for _ in range(runs + 1):  # the first one warms the file cache
        start = time.perf_counter()
        subprocess.run([*command, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    print(f"mull --help: best {min(times[1:]):.3f} s, median {statistics.median(times[1:]):.3f} s of {runs}")


if __name__ == "__main__":
    main()
