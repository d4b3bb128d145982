"""Whether what a stage builds on is still what it was: files from outside, and what earlier stages made.

Hashing is cheap beside a stage (SHA-256 reads half a gigabyte in about a second), and a model that was altered after
the fact would give results that no lineage explains. Left out on purpose: mending; a person decides.
"""

from __future__ import annotations

from pathlib import Path

from mull.core.errors import UserError
from mull.core.files import sha256_directory, sha256_file
from mull.core.run import StageDir
from mull.recipe.graph import Origin, Stage, outside


def hash_of(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of a directory's files."""
    return sha256_directory(path) if path.is_dir() else sha256_file(path)


def refuse_lost_output(stage: Stage, directory: StageDir) -> None:
    """Raises UserError when what a finished stage made is gone."""
    if stage.kind.makes and not directory.output(stage.kind.makes).exists():
        lost = directory.output(stage.kind.makes)
        raise UserError(f"{lost}: gone, though its stage is done; --from {stage.name} makes it again")


def refuse_altered(stage: Stage, directory: StageDir) -> None:
    """Raises UserError when what a finished stage made is not what it was when it was made."""
    refuse_lost_output(stage, directory)
    for made, digest in directory.read().get("hashes", {}).items():
        if hash_of(directory.output(made)) != digest:
            raise UserError(
                f"{directory.output(made)}: altered since its stage was done (its hash differs); put it back, "
                f"or --from {stage.name} makes it again"
            )


def refuse_changed_input(stage: Stage, origin: Origin) -> None:
    """Raises UserError when a file or directory from outside is not what it was when the run began."""
    present = outside(stage)
    for path, digest in origin.inputs.items():
        if path not in stage.needs and present.get(path) != digest:
            how = "changed" if path in present else "was removed"
            raise UserError(
                f"{path}: {how} since this run began, and stage {stage.name!r} reads it; put it back, or change the "
                "recipe; the same command then goes on"
            )
