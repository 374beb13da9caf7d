"""Right and wrong answers of the notebook's own tasks, as replacements in the model answers or as whole texts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

TRAINING, CARBON, PRETRAINED = "training_answer", "carbon_answer", "pretrained_answer"
SPLIT, PREPROCESSING, MODEL = "data_split_answer", "preprocessing_answer", "vit_model_answer"


@dataclass(frozen=True)
class Answer:
    """One answer cell that differs from the model answer.

    Attributes:
        slug: Unique name.
        cell: The cell's `grade_id`; its task is the one it is named after.
        text: The whole cell; None means the model answer with `replace`.
        replace: Pairs of old and new source text; every old text stands exactly once in the model answer.
        misconception: What a wrong answer must be named as; None where no name fits. Right answers have none.
        says: Words that must stand in one of the reasons.
    """

    slug: str
    cell: str
    text: str | None = None
    replace: tuple[tuple[str, str], ...] = ()
    misconception: str | None = None
    says: str = ""

    @property
    def task(self) -> str:
        """The task that the cell answers."""
        return self.cell.removesuffix("_answer")


def with_answer(notebook: bytes, answer: Answer) -> bytes:
    """Return a solved notebook with one cell answered otherwise.

    Raises:
        ValueError: If an old text does not stand exactly once in the cell.
    """
    cells = json.loads(notebook)
    for cell in cells["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == answer.cell:
            cell["source"] = answer.text if answer.text is not None else _replaced("".join(cell["source"]), answer)
    return json.dumps(cells).encode()


def _replaced(text: str, answer: Answer) -> str:
    text = re.sub(r"(?m)^\s*### (BEGIN|END) SOLUTION.*\n?", "", text)
    for old, new in answer.replace:
        if text.count(old) != 1:
            raise ValueError(
                f"{answer.slug}: expected {old!r} once in {answer.cell}, found it {text.count(old)} times."
            )
        text = text.replace(old, new)
    return text


def _split(slug: str, text: str, misconception: str | None = None, says: str = "") -> Answer:
    return Answer(slug, SPLIT, text, misconception=misconception, says=says)


def _prepare(slug: str, text: str, misconception: str | None = None, says: str = "") -> Answer:
    return Answer(slug, PREPROCESSING, text, misconception=misconception, says=says)


def _edit(cell: str, slug: str, *replace: tuple[str, str], misconception: str | None = None, says: str = "") -> Answer:
    return Answer(slug, cell, replace=replace, misconception=misconception, says=says)


_CUT = "cut = 3 * len(X_train) // 4\n"
_SHUFFLED = "order = np.random.permutation(len(X_train))\n" + _CUT
_LABELS = "Ytest = Y_test\n"
_CHECKPOINT = """checkpoint = keras.callbacks.ModelCheckpoint(
        best_weights, monitor="val_accuracy", mode="max", save_best_only=True, save_weights_only=True
    )"""
_IN_MEMORY = """class KeepBest(keras.callbacks.Callback):
        best, kept = -1, None

        def on_epoch_end(self, epoch, logs=None):
            if logs["val_accuracy"] > self.best:
                self.best, self.kept = logs["val_accuracy"], self.model.get_weights()

    checkpoint = KeepBest()"""
_TESTING = """        _, accuracy = model.evaluate(test_images, test_labels, batch_size=batch_size, verbose=0)
"""
_METRIC = 'keras.metrics.SparseCategoricalAccuracy(name="accuracy")'
_LOSS = "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
_TRAIN = "history = run_experiment(model, training_data, validation_data, test_data, ckpt_path=log_dir, **settings)"

RIGHT: tuple[Answer, ...] = (
    _split("split-unseeded", "Xtrain, Xval, Ytrain, Yval = train_test_split(X_train, Y_train, test_size=0.25)"),
    _split(
        "split-stratified",
        "Xtrain, Xval, Ytrain, Yval = train_test_split(X_train, Y_train, train_size=0.75, stratify=Y_train)",
    ),
    _split(
        "split-by-permutation",
        _SHUFFLED + "Xtrain, Ytrain = X_train[order[:cut]], Y_train[order[:cut]]\n"
        "Xval, Yval = X_train[order[cut:]], Y_train[order[cut:]]",
    ),
    _split("split-with-column-of-labels", "Xtrain, Xval, Ytrain, Yval = train_test_split(X_train, Y_train)"),
    _prepare(
        "pixels-by-half",
        "Xtrain = (Xtrain.astype(np.float32) / 255 - 0.5) * 2\nXval = (Xval.astype(np.float32) / 255 - 0.5) * 2\n"
        "Xtest = (X_test.astype(np.float32) / 255 - 0.5) * 2\n" + _LABELS,
    ),
    _prepare(
        "pixels-as-tensors",
        "def scale(x):\n    return tf.cast(x, tf.float32) / 127.5 - 1.0\n\n"
        "Xtrain, Xval, Xtest = scale(Xtrain), scale(Xval), scale(X_test)\n" + _LABELS,
    ),
    _prepare(
        "pixels-by-rescaling-layer",
        "rescale = keras.layers.Rescaling(1 / 127.5, offset=-1)\n"
        "Xtrain, Xval, Xtest = [rescale(x).numpy() for x in (Xtrain, Xval, X_test)]\n" + _LABELS,
    ),
    _edit(TRAINING, "training-metric-by-name", (_METRIC, '"accuracy"')),
    _edit(
        TRAINING,
        "training-best-weights-in-memory",
        (_CHECKPOINT, _IN_MEMORY),
        ("model.load_weights(best_weights)", "model.set_weights(checkpoint.kept)"),
    ),
    _edit(
        TRAINING,
        "training-from-dataset",
        (
            "        images,\n        labels,\n        batch_size=batch_size,\n",
            "        tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(999).batch(batch_size),\n",
        ),
    ),
    _edit(
        CARBON,
        "footprint-with-own-tracker",
        (
            "make_carbon_tracker(log_dir)",
            "__import__('carbontracker.tracker').tracker.CarbonTracker(epochs=1, epochs_before_pred=0, "
            "components='cpu', log_dir=log_dir, sim_cpu='mine', sim_cpu_tdp=10)",
        ),
    ),
    _edit(
        PRETRAINED,
        "pretrained-list-and-top-k",
        (
            "best = np.argsort(-probabilities)[:n_labels]",
            "best = tf.math.top_k(probabilities, n_labels).indices.numpy()",
        ),
        ("images=image", "[image]"),
    ),
)
"""Answers in other styles, all of them right."""

WRONG: tuple[Answer, ...] = (
    _split(
        "split-70-30",
        "Xtrain, Xval, Ytrain, Yval = train_test_split(X_train, Y_train, test_size=0.3)",
        "wrong_split_size",
    ),
    _split(
        "split-swapped",
        "Xtrain, Xval, Ytrain, Yval = train_test_split(X_train, Y_train, test_size=0.75)",
        "wrong_split_size",
    ),
    _split(
        "split-order-mixed",
        "Xtrain, Ytrain, Xval, Yval = train_test_split(X_train, Y_train, test_size=0.25)",
        "split_order_mixed",
    ),
    _split(
        "split-labels-apart",
        _SHUFFLED + "other = np.random.permutation(len(X_train))\n"
        "Xtrain, Ytrain = X_train[order[:cut]], Y_train[other[:cut]]\n"
        "Xval, Yval = X_train[order[cut:]], Y_train[other[cut:]]",
        "labels_separated",
    ),
    _split(
        "split-overlapping",
        _CUT + "Xtrain, Ytrain = X_train[:cut], Y_train[:cut]\nlast = len(X_train) - cut\n"
        "Xval, Yval = X_train[:last], Y_train[:last]",
        "images_in_both",
    ),
    _split(
        "split-validates-on-test-images",
        "Xtrain, Ytrain, Xval, Yval = X_train, Y_train, X_test, Y_test",
        "not_from_training_images",
    ),
    _split(
        "split-drops-images",
        _CUT + "Xtrain, Ytrain = X_train[:cut], Y_train[:cut]\nXval, Yval = X_train[cut + 8:], Y_train[cut + 8:]",
        "images_dropped",
    ),
    _split(
        "split-other-names",
        "x_train, x_val, y_train, y_val = train_test_split(X_train, Y_train, test_size=0.25)",
        says="must define a variable named `Xtrain`",
    ),
    _prepare(
        "pixels-0-1",
        "Xtrain, Xval, Xtest = (x.astype('float32') / 255 for x in (Xtrain, Xval, X_test))\n" + _LABELS,
        "pixels_in_0_1",
    ),
    _prepare(
        "pixels-unscaled",
        "Xtrain, Xval, Xtest = (x.astype('float32') for x in (Xtrain, Xval, X_test))\n" + _LABELS,
        "pixels_not_scaled",
    ),
    _prepare(
        "pixels-float64",
        "Xtrain, Xval, Xtest = (x / 127.5 - 1 for x in (Xtrain, Xval, X_test))\n" + _LABELS,
        says="must be float32; it is float64",
    ),
    _prepare(
        "pixels-overflow",
        "Xtrain, Xval, Xtest = ((x * 2 - 255).astype('float32') / 255 for x in (Xtrain, Xval, X_test))\n" + _LABELS,
    ),
    _prepare(
        "pixels-standardised",
        "def scale(x):\n    return ((x - x.mean()) / x.std()).astype('float32')\n\n"
        "Xtrain, Xval, Xtest = scale(Xtrain), scale(Xval), scale(X_test)\n" + _LABELS,
        says="pixel 0 at -1 and pixel 255 at 1",
    ),
    _prepare(
        "pixels-scaled-twice",
        "def scale(x):\n    return x.astype('float32') / 127.5 - 1\n\n"
        "Xtrain, Xval, Xtest = scale(scale(Xtrain)), scale(Xval), scale(X_test)\n" + _LABELS,
        says="pixel 0 at -1 and pixel 255 at 1",
    ),
    _prepare(
        "pixels-test-images-forgotten",
        "Xtrain, Xval = (x.astype('float32') / 127.5 - 1 for x in (Xtrain, Xval))\nXtest = X_test\n" + _LABELS,
        says="`Xtest` must be float32; it is uint8",
    ),
    _prepare(
        "pixels-of-validation-for-test",
        "Xtrain, Xval = (x.astype('float32') / 127.5 - 1 for x in (Xtrain, Xval))\nXtest = Xval\n" + _LABELS,
        says="are not those of `X_test`",
    ),
    _prepare(
        "labels-one-hot",
        "Xtrain, Xval, Xtest = (x.astype('float32') / 127.5 - 1 for x in (Xtrain, Xval, X_test))\n"
        "Ytrain, Yval, Ytest = (keras.utils.to_categorical(y, 10) for y in (Ytrain, Yval, Y_test))",
        "one_hot_labels",
    ),
    _prepare(
        "labels-of-test-not-named",
        "Xtrain, Xval, Xtest = (x.astype('float32') / 127.5 - 1 for x in (Xtrain, Xval, X_test))\n",
        says="must define a variable named `Ytest`",
    ),
    _edit(
        TRAINING,
        "training-on-validation-data",
        (
            "        images,\n        labels,\n",
            "        np.concatenate([images, validation_data[0]]),\n"
            "        np.concatenate([labels, validation_data[1]]),\n",
        ),
        misconception="trained_on_validation_data",
    ),
    _edit(
        TRAINING,
        "training-without-reload",
        ("    model.load_weights(best_weights)\n", "    pass\n"),
        misconception="best_not_reloaded",
    ),
    _edit(
        TRAINING,
        "training-reloads-the-last",
        ("save_best_only=True", "save_best_only=False"),
        misconception="best_not_reloaded",
    ),
    _edit(TRAINING, "training-keeps-the-worst", ('mode="max"', 'mode="min"'), misconception=None),
    _edit(
        TRAINING,
        "training-monitors-training-loss",
        ('"val_accuracy", mode="max"', '"loss", mode="min"'),
        misconception="best_not_reloaded",
    ),
    _edit(
        TRAINING,
        "training-loss-of-probabilities",
        ("from_logits=True", "from_logits=False"),
        misconception="loss_not_from_logits",
    ),
    _edit(TRAINING, "training-loss-for-one-hot", (_LOSS, "keras.losses.CategoricalCrossentropy(from_logits=True)")),
    _edit(TRAINING, "training-returns-nothing", ("    return history", "    return"), says="must return the history"),
    _edit(TRAINING, "training-ignores-epochs", ("epochs=epochs", "epochs=3"), says="number of epochs"),
    _edit(
        TRAINING,
        "training-ignores-learning-rate",
        ("learning_rate=learning_rate", "learning_rate=1e-4"),
        misconception="not_adam",
    ),
    _edit(TRAINING, "training-with-sgd", ("keras.optimizers.Adam(", "keras.optimizers.SGD("), misconception="not_adam"),
    _edit(
        TRAINING,
        "training-ignores-batch-size",
        ("labels,\n        batch_size=batch_size", "labels,\n        batch_size=64"),
        misconception="batch_size_ignored",
    ),
    _edit(TRAINING, "training-without-metric", ("metrics=[" + _METRIC + "]", "metrics=[]"), says="FileNotFoundError"),
    _edit(
        TRAINING,
        "training-without-validation",
        ("        validation_data=validation_data,\n", ""),
        says="FileNotFoundError",
    ),
    _edit(
        CARBON,
        "footprint-tracker-never-started",
        ("    tracker.epoch_start()\n", ""),
        misconception="tracker_not_started",
    ),
    _edit(CARBON, "footprint-epoch-never-ended", ("    tracker.epoch_end()\n", ""), misconception="tracker_not_ended"),
    _edit(
        CARBON,
        "footprint-started-after-training",
        ("    tracker.epoch_start()\n", ""),
        ("    tracker.epoch_end()\n", "    tracker.epoch_start()\n    tracker.epoch_end()\n"),
        misconception="tracker_beside_training",
    ),
    _edit(CARBON, "footprint-without-training", (_TRAIN, "history = None"), says="Nothing was trained"),
    _edit(CARBON, "footprint-of-two-trainings", (_TRAIN, _TRAIN + "\n    " + _TRAIN), says="trained 2 times"),
    _edit(
        CARBON,
        "footprint-ignores-settings",
        ("ckpt_path=log_dir, **settings", "ckpt_path=log_dir, epochs=1"),
        misconception="settings_not_passed_on",
    ),
    _edit(
        PRETRAINED,
        "pretrained-raw-pixels",
        (
            'processor(images=image, return_tensors="tf")',
            '{"pixel_values": tf.transpose(tf.cast(image[None, :32, :32], tf.float32), (0, 3, 1, 2))}',
        ),
        misconception="pixels_not_prepared",
    ),
    _edit(
        PRETRAINED,
        "pretrained-pixels-0-1",
        (
            'processor(images=image, return_tensors="tf")',
            '{"pixel_values": tf.transpose(tf.cast(image[None, :32, :32], tf.float32) / 255, (0, 3, 1, 2))}',
        ),
        misconception="pixels_only_divided",
    ),
    _edit(
        PRETRAINED,
        "pretrained-smallest-first",
        ("np.argsort(-probabilities)", "np.argsort(probabilities)"),
        misconception="worst_label_first",
    ),
    _edit(
        PRETRAINED,
        "pretrained-class-numbers",
        ("model.config.id2label[int(number)]", "int(number)"),
        misconception="label_number",
    ),
    _edit(
        PRETRAINED,
        "pretrained-logits",
        ("tf.nn.softmax(logits).numpy()", "logits.numpy()"),
        misconception="logits_for_probabilities",
    ),
    _edit(PRETRAINED, "pretrained-one-label", ("[:n_labels]", "[:1]"), says="list of 5 pairs"),
    Answer(
        "model-params-of-the-small-model",
        MODEL,
        "model_params = small_model_params\nvit = create_vit_classifier(**model_params)",
        misconception="model_params_other",
    ),
    _edit(
        MODEL,
        "model-of-other-settings",
        (
            "create_vit_classifier(**model_params)",
            'create_vit_classifier(**{**model_params, "transformer_layers": 11})',
        ),
        says="`vit` has",
    ),
    _edit(MODEL, "model-under-another-name", ("vit = create", "model = create"), says="a variable named `vit`"),
)
"""Answers with one mistake each."""
