"""Write the examples in docs/audit.md, what students read about ten wrong submissions.

`python -m tests.submissions.examples` grades them, each in its own task.
"""

from __future__ import annotations

from autograder.audit.audit import Scope, audit
from autograder.audit.records import AuditedSubmission
from autograder.audit.worker import AuditSubject
from autograder.course.course import Course
from autograder.results import said_once
from tests.submissions.corpus import FOLDER, ROOT

PAGE = ROOT / "docs" / "audit.md"
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


def render(row: AuditedSubmission) -> str:
    """Return one example: the mistake, the points and the failed checks, with the reason of those that share one."""
    lost = f"points lost: {row.lost[row.variant.task]:g}"
    reasons: dict[str, list[str]] = {}
    for check in said_once(row.failed):
        reasons.setdefault(check.message, []).append(f"- {check.sentence}")
    said = ["\n".join([*sentences, f"  > {reason}\n"]) for reason, sentences in reasons.items()]
    return "\n".join([f"**{EXAMPLES[row.variant.slug]}** Task `{row.variant.task}`, {lost}.\n", *said])


def main() -> None:
    """Grade the ten and replace the page's section."""
    found = audit(AuditSubject(Course(root=ROOT), "vit", FOLDER), Scope(slugs=frozenset(EXAMPLES), own=True, jobs=1))
    rows = {row.variant.slug: row for row in found.submissions}
    before, _, after = PAGE.read_text("utf-8").partition(HEADING)
    _, heading, rest = after.partition("\n## ")
    section = "\n".join([HEADING, *(render(rows[slug]) for slug in EXAMPLES)])
    PAGE.write_text(before + section + heading + rest, "utf-8")


if __name__ == "__main__":
    main()
