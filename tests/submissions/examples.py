"""Write the examples in docs/audit.md: what students read about ten wrong submissions.

`python -m autograder audit --own --json audit.json`, then `python -m tests.submissions.examples audit.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "audit.md"
HEADING = "## Ten of the wrong submissions, as a student reads them\n"
EXAMPLES = {
    "attention-unscaled-einsum": "The scores are not divided by anything.",
    "attention-overflows": "The softmax is written out as `exp(x) / sum(exp(x))`.",
    "heads-not-merged-by-definition": "The heads are joined by a reshape that leaves the head axis before the tokens.",
    "multi-head-output-bias": "The output projection is a `Dense` layer with bias.",
    "mlp-dropout-always-on": "Dropout is called with `training=True`.",
    "block-pre-norm-by-definition": "The normalisations come before attention and mlp.",
    "patches-dilated": "`extract_patches` gets `rates=patch_size`.",
    "encoder-class-token-per-sample": "The class token is drawn once more for each image.",
    "model-mean-of-tokens-einsum": "The classifier reads the mean of the tokens.",
    "training-without-reload": "The best weights are saved and not loaded again.",
}


def render(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the section: for each example the mistake, the points and the failed checks with their reasons."""
    parts = [HEADING]
    for slug, mistake in EXAMPLES.items():
        row = rows[slug]
        parts.append(f"**{mistake}** Task `{row['task']}`, points lost: {row['lost'][row['task']]:g}.\n")
        parts += dict.fromkeys(f"- {check['sentence']}\n  > {check['message']}\n" for check in row["failed"])
    return "\n".join(parts)


def main() -> None:
    """Replace the page's last section."""
    table = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    text = PAGE.read_text("utf-8").partition(HEADING)[0]
    PAGE.write_text(text + render({row["slug"]: row for row in table["rows"]}), "utf-8")


if __name__ == "__main__":
    main()
