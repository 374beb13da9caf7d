"""The checks of split and preprocessing on answers that run in this process: right and wrong ones, 50 draws each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import KFold, train_test_split

from autograder.errors import CheckFailed
from tests.hidden_checks import DRAWS, body_of, load_checks

DATA_SPLIT = load_checks("data_split")
PREPROCESSING = load_checks("preprocessing")


class Notebook:
    """Stands for a submission: its answer is run here."""

    def __init__(self, answer: str) -> None:
        self._answer = compile(answer, "answer", "exec")
        self._names: dict[str, Any] = {}

    def answer_with(self, **variables: Any) -> None:
        """Run the answer with these variables."""
        copies = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in variables.items()}
        self._names = {"np": np, "train_test_split": train_test_split, "KFold": KFold, **copies}
        exec(self._answer, self._names)  # noqa: S102 - the test's own text

    def variable(self, name: str) -> Any:
        """Return what the answer made."""
        if name not in self._names:
            raise CheckFailed(f"The notebook must define a variable named `{name}`, and yours does not.")
        return self._names[name]


SPLIT = "Xtrain, Xval, Ytrain, Yval = train_test_split(X_train, Y_train, test_size=0.25)\n"
SPLITS = {
    "random": SPLIT,
    "seeded": SPLIT.replace("0.25", "0.25, random_state=0"),
    "stratified": SPLIT.replace("0.25", "0.25, stratify=Y_train"),
    "columns": SPLIT.replace("Y_train,", "Y_train.reshape(-1, 1),"),
    "folds": "a, b = next(KFold(4, shuffle=True).split(X_train))\n"
    "Xtrain, Ytrain, Xval, Yval = X_train[a], Y_train[a], X_train[b], Y_train[b]",
}
CHOSEN = "Xtrain, Ytrain, Xval, Yval = X_train[~kept], Y_train[~kept], X_train[kept], Y_train[kept]\n"
WRONG_SPLITS = {
    "not_at_random": [
        SPLIT.replace("0.25", "0.25, shuffle=False"),
        f"kept = np.arange(len(X_train)) % 4 == 3\n{CHOSEN}",
        f"kept = np.argsort(np.argsort(Y_train, kind='stable')) >= len(Y_train) * 3 // 4\n{CHOSEN}",
    ],
    "test_data_changed": [f"{SPLIT}X_test, Y_test = Xval, Yval"],
    "labels_separated": [f"np.random.shuffle(X_train)\n{SPLIT}"],
    "None": [SPLIT.replace("Y_train,", "Y_train + 1,")],  # labels of other values were not shuffled apart
    "wrong_split_size": [SPLIT.replace("0.25", "0.2")],
}


def failures(answer: str, seed: int) -> list[str]:
    """Return the slugs of the split's checks that fail."""
    checks = DATA_SPLIT
    found: list[str] = []
    split = body_of(checks.split)(Notebook(answer), np.random.default_rng(seed))
    for name in ("sizes", "images_and_labels", "at_random", "test_data_are_untouched"):
        try:
            getattr(checks, f"test_{name}")(split)
        except CheckFailed as error:
            found.append(str(error.misconception))
    return found


@pytest.mark.parametrize("answer", SPLITS.values(), ids=SPLITS)
def test_right_splits_pass(answer: str) -> None:
    assert not [seed for seed in range(DRAWS) if failures(answer, seed)]


@pytest.mark.parametrize(("slug", "answer"), [(slug, answer) for slug, many in WRONG_SPLITS.items() for answer in many])
def test_wrong_splits_fail_one_check(slug: str, answer: str) -> None:
    assert not [seed for seed in range(DRAWS) if failures(answer, seed) != [slug]]


SCALE = "Xtrain, Xval, Xtest = (scale(x.astype('float32')) for x in (Xtrain, Xval, X_test))\nYtest = Y_test\n"
PREPARED = {
    "as asked for": (SCALE.replace("scale(", "(").replace("'))", "') / 127.5 - 1)"), []),
    "[0, 1]": (SCALE.replace("scale(", "(").replace("'))", "') / 255)"), ["pixels_in_0_1"] * 3),
    "by 128": (SCALE.replace("scale(", "(").replace("'))", "') / 128 - 1)"), ["pixels_by_128"] * 3),
    "inverted": (SCALE.replace("scale(", "(").replace("'))", "') / -127.5 + 1)"), ["pixels_inverted"] * 3),
    "labels": (
        SCALE.replace("scale(", "(").replace("'))", "') / 127.5 - 1)") + "Ytrain = np.random.permutation(Ytrain)",
        ["labels_of_other_images"],
    ),
}


@pytest.mark.parametrize(("answer", "expected"), PREPARED.values(), ids=PREPARED)
def test_preprocessing_is_judged_pixel_by_pixel(answer: str, expected: list[str]) -> None:
    checks = PREPROCESSING
    for seed in range(DRAWS):
        student = Notebook(SPLIT + answer)
        found: list[str] = []
        drawn = body_of(checks.drawn)(student, np.random.default_rng(seed))
        for part in ("train", "val", "test"):
            prepared = body_of(checks.prepared)(Asked(part), student, drawn)
            for check, *given in ((checks.test_pixels, prepared), (checks.test_labels, student, prepared)):
                try:
                    check(*given)
                except CheckFailed as error:
                    found.append(str(error.misconception))
        assert found == expected


BY_HALF = PREPARED["as asked for"][0]
SPLIT_AGAIN = {
    "at random": (SPLIT, "None"),
    "twice": (SPLIT.replace("Xval", "_") + SPLIT.replace("Xtrain", "_"), "prepared_images_in_both"),
    "in order": (SPLIT.replace("0.25", "0.25, shuffle=False"), "prepared_split_not_at_random"),
}


@pytest.mark.parametrize(("again", "expected"), SPLIT_AGAIN.values(), ids=SPLIT_AGAIN)
def test_a_second_split_is_judged_like_the_first(again: str, expected: str) -> None:
    checks = PREPROCESSING
    for seed in range(DRAWS // 5):
        student = Notebook(SPLIT + again + BY_HALF)
        drawn = body_of(checks.drawn)(student, np.random.default_rng(seed))
        found = "None"
        try:
            checks.test_split_is_kept(student, drawn)
        except CheckFailed as error:
            found = str(error.misconception)
        assert found == expected


def test_own_ranges_are_not_those_of_pixels() -> None:
    checks, own_range = PREPROCESSING, SCALE.replace("scale(", "(lambda x: 2 * x / x.max() - 1)(")
    for seed in range(DRAWS // 5):
        student = Notebook(SPLIT + own_range)
        drawn = body_of(checks.drawn)(student, np.random.default_rng(seed))
        with pytest.raises(CheckFailed) as failed:
            checks.test_pixels(checks.read_prepared(student, drawn, "test"))
        assert failed.value.misconception == "pixels_by_their_largest"


class Asked:
    """Stands for pytest's request of a fixture with a parameter."""

    def __init__(self, param: str) -> None:
        self.param = param
