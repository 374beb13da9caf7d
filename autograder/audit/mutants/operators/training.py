"""Mistakes around a training and with data: optimiser, loss, what is watched, and which data go where."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import libcst as cst

from autograder.audit.mutants.operators.places import (
    CodeChange,
    Operators,
    SourceText,
    called,
    keyword_of,
    with_argument,
)

TRAINING = Operators()
OPTIMISERS = ("Adam", "SGD", "RMSprop", "AdamW", "Nadam", "Adamax")
LOSSES = ("SparseCategoricalCrossentropy", "CategoricalCrossentropy", "MeanSquaredError")
WATCHED = ("val_accuracy", "val_loss", "accuracy", "loss")
MODES = ("max", "min", "auto")
DATA = ("training_data", "validation_data", "test_data")


@TRAINING.add("optimiser")
def change_optimiser(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Use another optimiser, or another kind of Adam."""
    if called(node) in OPTIMISERS and isinstance(node, cst.Call):
        code = source.code(node)
        for other in OPTIMISERS:
            if other != called(node):
                yield CodeChange(node, code.replace(called(node), other, 1))
        for setting in ("amsgrad=True", "weight_decay=1e-3", "clipnorm=0.01", "beta_1=0.5", "epsilon=1e-3"):
            yield CodeChange(node, with_argument(source, node, setting))


@TRAINING.add("learning rate")
def change_rate(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let the learning rate be another, or decay."""
    if called(node) in OPTIMISERS and isinstance(node, cst.Call) and node.args:
        rate = source.code(node.args[0].value)
        decaying = f"keras.optimizers.schedules.ExponentialDecay({rate}, 1, 0.9)"
        for text in ("1e-4", f"{rate} / 10", f"2 * {rate}", decaying):
            if text != rate:
                yield CodeChange(node.args[0].value, text)


@TRAINING.add("loss")
def change_loss(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Use another loss, or sum it up."""
    if called(node) in LOSSES and isinstance(node, cst.Call):
        code = source.code(node)
        yield from (CodeChange(node, code.replace(called(node), other, 1)) for other in LOSSES if other != called(node))
        yield CodeChange(node, with_argument(source, node, "reduction='sum'"))
        yield CodeChange(node, with_argument(source, node, "from_logits=False"))


@TRAINING.add("watched value")
def change_watched(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Watch another value, or look for the worst."""
    if isinstance(node, cst.SimpleString):
        for words in (WATCHED, MODES):
            if node.evaluated_value in words:
                yield from (CodeChange(node, repr(other)) for other in words if other != node.evaluated_value)


@TRAINING.add("data exchanged")
def exchange_data(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Use other data than those that are meant."""
    if isinstance(node, cst.Name) and source.is_read(node):
        for names in (DATA, ("Xtrain", "Xval", "X_train", "X_test"), ("Ytrain", "Yval", "Y_train", "Y_test")):
            if node.value in names:
                yield from (CodeChange(node, other) for other in names if other != node.value)


@TRAINING.add("data changed")
def change_data(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Use a part of the data, or all of it in another order."""
    if isinstance(node, cst.Name) and source.is_read(node) and node.value in (
        "images", "labels", "X_train", "Y_train", "Xtrain", "Xval", "X_test", "Y_test", "Ytrain", "Yval", "image",
    ):  # fmt: skip
        for text in ("{}[::-1]", "{}[:-1]", "{}[1:]", "np.sort({}, axis=0)", "np.random.permutation({})", "-1 * {}"):
            yield CodeChange(node, text.format(node.value))
        if node.value == "image":
            yield CodeChange(node, "image[: min(image.shape[:2]), : min(image.shape[:2])]")
            yield CodeChange(node, "tf.image.resize(image, (224, 224)).numpy().astype('uint8')")


@TRAINING.add("data changed in place")
def change_in_place(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Shuffle, sort or invert the data themselves before they are used."""
    if isinstance(node, cst.Assign) and source.function_around(node) is None:
        for name in ("X_train", "Y_train", "Xtrain", "Ytrain", "X_test"):
            if name in source.code(node.value):
                for text in (f"np.random.shuffle({name})", f"{name}.sort(axis=0)", f"{name} = -{name}"):
                    yield CodeChange(node, f"{text}\n{source.code(node)}")


@TRAINING.add("training setting")
def change_setting(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Train, split or sort with a setting that nobody asked for."""
    settings = {
        "fit": (
            "shuffle=False",
            "validation_split=0.2",
            "steps_per_epoch=1",
            "class_weight={0: 2.0}",
            "initial_epoch=1",
        ),
        "train_test_split": ("shuffle=False", "train_size=0.5", "test_size=0.2"),
        "ModelCheckpoint": ("save_freq=1", "initial_value_threshold=0.99", "save_best_only=False"),
        "compile": ("run_eagerly=True", "steps_per_execution=2", "loss_weights=[0.5]"),
    }
    if isinstance(node, cst.Call):
        yield from (CodeChange(node, with_argument(source, node, text)) for text in settings.get(called(node), ()))


@TRAINING.add("callback added")
def add_callback(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let something end the training early or change its rate, or leave the callbacks out."""
    if isinstance(node, cst.Arg) and keyword_of(node) == "callbacks":
        code = source.code(node.value)
        early = "keras.callbacks.EarlyStopping(patience=1)"
        slower = "keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 * rate)"
        yield from (CodeChange(node.value, text) for text in ("None", f"[*{code}, {early}]", f"[*{code}, {slower}]"))


@TRAINING.add("layers frozen")
def freeze_layers(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Freeze the model, or its first layers, before it is trained."""
    if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call) and called(node.value) == "compile":
        indent = " " * source.place_of(node)[1]
        for text in (
            "model.trainable = False",
            "model.layers[0].trainable = False",
            "model.layers[1].trainable = False",
        ):
            yield CodeChange(node, f"{text}\n{indent}{source.code(node)}")


@TRAINING.add("text of labels")
def change_text_of_labels(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Cut a label, or give its number."""
    if isinstance(node, cst.Subscript) and source.code(node.value).endswith("id2label"):
        inside = source.code(node).rpartition("[")[2].rstrip("]")
        yield CodeChange(node, f"{source.code(node)}.split(',')[0]")
        yield CodeChange(node, inside)
        yield CodeChange(node, f"{source.code(node)}.upper()")


@TRAINING.add("steps left out")
def leave_out_steps(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Return before the last steps, or do the last steps whatever was asked for."""
    if isinstance(node, cst.If):
        yield from (CodeChange(node.test, text) for text in ("True", "False"))
    if isinstance(node, cst.IndentedBlock):
        for first, second in itertools.pairwise(node.body):
            if isinstance(first, cst.SimpleStatementLine) and isinstance(second, cst.If):
                indent = " " * source.place_of(first)[1]
                moved = source.code(second).strip("\n").strip()
                yield CodeChange(first.body[0], f"{moved}\n{indent}{source.code(first.body[0])}", second)
                head, _, body = source.code(second).partition("\n")
                step = source.code(first.body[0])
                yield CodeChange(first.body[0], f"{head}\n{indent}    {step}\n{body}", second)
