"""What decontamination dropped is written beside the stage's other files."""

import json
from pathlib import Path

from mull.core.run import StageDir
from mull.recipe.kind import Context, report_dropped
from mull.tasks.mixture import load_mixture


def test_what_was_dropped_is_written(tmp_path: Path) -> None:
    for name, questions in (("train", ["What is 2 + 3?", "What is 4 + 3?"]), ("test", ["what is 2+3?"])):
        rows = [json.dumps({"question": question, "answer": "#### 7"}) for question in questions]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    benchmark = f"{tmp_path / 'test.jsonl'}:test?preset=gsm8k"
    spec = {"source": str(tmp_path / "train.jsonl"), "preset": "gsm8k", "name": "sums", "decontaminate": [benchmark]}
    context = Context(StageDir(tmp_path / "stage"), None, {}, seed=0)
    report_dropped(context, load_mixture(["countdown:dev"]))
    assert not (tmp_path / "stage" / "decontamination.json").exists()
    report_dropped(context, load_mixture([spec]))
    found = json.loads((tmp_path / "stage" / "decontamination.json").read_text())["sums:train"]
    assert (found["checked"], found["dropped"]) == (2, 1)
    assert found["clashes"][0]["id"] == "sums/1" and found["clashes"][0]["how"] == "the whole prompt"
