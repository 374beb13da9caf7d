"""Operators: each makes one small mistake at a place, and the text around it stays as it was."""

from __future__ import annotations

import functools

import pytest

from autograder.audit.mutants.making import OPERATORS, Mutant, mutants_of, sample
from autograder.audit.mutants.originals import Original, is_python

MODULE = '''import tensorflow as tf
import tf_keras as keras


def part(x, units, rate=0.1):
    """Text that stays."""
    last = len(units) - 1
    for index, width in enumerate(units):
        y = keras.layers.Dense(width, activation="gelu")(x)
        y = keras.layers.Dropout(rate)(y)
    y = keras.layers.LayerNormalization(epsilon=1e-6)(keras.layers.Add()([x, y]))
    heads = tf.transpose(tf.reshape(y, (-1, last, 3)), (0, 2, 1))
    scores = tf.matmul(heads, x, transpose_b=True) / tf.sqrt(3.0)
    weights = tf.nn.softmax(scores, axis=-1)
    return tf.einsum("bij,bjk->bik", weights, y)[:, 0]
'''


def original(text: str = MODULE, cell: str = "") -> Original:
    """Right work with one part."""
    return Original("style", "task", cell, text, frozenset({"part"}))


@functools.cache
def changed_texts(text: str = MODULE, cell: str = "") -> list[tuple[str, str]]:
    """All changes, by operator; several operators may make the same one."""
    right = original(text, cell)
    return [
        (operator.name, source.changed(change))
        for node, source in right.nodes()
        for operator in OPERATORS.values()
        for change in operator.find(node, source)
    ]


def changed_lines(operator: str, text: str = MODULE, cell: str = "") -> set[str]:
    """The lines that an operator writes."""
    before = {line.strip() for line in text.split("\n")}
    found = (changed for name, changed in changed_texts(text, cell) if name == operator)
    return {line.strip() for changed in found for line in changed.split("\n") if line.strip() not in before}


@pytest.mark.parametrize(
    ("operator", "line"),
    [
        ("arithmetic", "scores = tf.matmul(heads, x, transpose_b=True) * tf.sqrt(3.0)"),
        ("term dropped", "scores = tf.matmul(heads, x, transpose_b=True)"),
        ("constant", "last = len(units) - 2"),
        ("flag", "scores = tf.matmul(heads, x, transpose_b=False) / tf.sqrt(3.0)"),
        ("default changed", "def part(x, units, rate=2 * 0.1):"),
        ("argument ignored", "y = keras.layers.Dropout(0.1)(y)"),
        ("argument removed", "y = keras.layers.Dense(width)(x)"),
        ("elements exchanged", "y = keras.layers.LayerNormalization(epsilon=1e-6)(keras.layers.Add()([y, x]))"),
        ("call dropped", "y = (y)"),
        ("counted wrongly", "for index, width in list(enumerate(units))[1:]:"),
        ("other name", 'y = keras.layers.Dense(width, activation="gelu")(rate)'),
        ("axis", "weights = tf.nn.softmax(scores, axis=-2)"),
        ("order of axes", "heads = tf.transpose(tf.reshape(y, (-1, last, 3)))"),
        ("transposed factor", "scores = tf.matmul(heads, tf.transpose(x)) / tf.sqrt(3.0)"),
        ("einsum", "return tf.einsum('bji,bjk->bik', weights, y)[:, 0]"),
        ("power", "scores = tf.matmul(heads, x, transpose_b=True) / (3.0)"),
        ("softmax", "weights = tf.nn.softmax(2 * scores, axis=-1)"),
        ("gradient stopped", "weights = tf.nn.softmax(tf.stop_gradient(scores), axis=-1)"),
        ("mean for one", 'return tf.reduce_mean(tf.einsum("bij,bjk->bik", weights, y), axis=1)'),
        ("dropout removed", "y = (y)"),
        ("dropout rate", "y = keras.layers.Dropout(rate / 2)(y)"),
        ("dropout kind", "y = keras.layers.SpatialDropout1D(rate)(y)"),
        ("dropout added", 'y = keras.layers.Dense(width, activation="gelu")(keras.layers.Dropout(rate)(x))'),
        ("phase", "y = keras.layers.Dropout(rate)(y, training=True)"),
        ("residual", "y = keras.layers.LayerNormalization(epsilon=1e-6)(x)"),
        ("normalisation", "y = keras.layers.LayerNormalization(epsilon=1e-6, axis=1)(keras.layers.Add()([x, y]))"),
        ("normalisation moved", "y = keras.layers.Add()([x, keras.layers.LayerNormalization(epsilon=1e-6)(y)])"),
        ("non-linearity", "y = keras.layers.Dense(width, activation='relu')(x)"),
        ("weights", 'y = keras.layers.Dense(width, activation="gelu", trainable=False)(x)'),
    ],
)
def test_an_operator_makes_its_mistake(operator: str, line: str) -> None:
    assert line in changed_lines(operator)


TRAINING = """def run_experiment(model, training_data, validation_data, test_data, rate, path):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    keep = keras.callbacks.ModelCheckpoint(path, monitor="val_accuracy")
    model.fit(training_data, validation_data=validation_data, callbacks=[keep])
"""


@pytest.mark.parametrize(
    ("operator", "line"),
    [
        ("optimiser", "model.compile(keras.optimizers.SGD(rate), loss)"),
        ("learning rate", "model.compile(keras.optimizers.Adam(rate / 10), loss)"),
        ("loss", "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction='sum')"),
        ("watched value", "keep = keras.callbacks.ModelCheckpoint(path, monitor='val_loss')"),
        ("data exchanged", "model.fit(training_data, validation_data=test_data, callbacks=[keep])"),
        ("layers frozen", "model.trainable = False"),
        ("training setting", 'keep = keras.callbacks.ModelCheckpoint(path, monitor="val_accuracy", save_freq=1)'),
        ("callback added", "model.fit(training_data, validation_data=validation_data, callbacks=None)"),
    ],
)
def test_an_operator_makes_its_mistake_in_a_training(operator: str, line: str) -> None:
    assert line in changed_lines(operator, TRAINING, "training_answer")


def test_the_last_statement_of_a_loop_goes_behind_it() -> None:
    (moved,) = (changed for name, changed in changed_texts() if name == "out of the loop")
    assert ")(x)\n    y = keras.layers.Dropout(rate)(y)\n    y = keras" in moved


def test_mutants_differ_from_their_original_in_the_part_alone() -> None:
    text = f"{MODULE}\n\ndef other(x):\n    return x + 1\n"
    mutants = list(mutants_of(original(text)))
    assert len({mutant.text for mutant in mutants}) == len(mutants) > 150
    assert all(mutant.text.endswith("def other(x):\n    return x + 1\n") for mutant in mutants)
    assert all("Text that stays." in mutant.text for mutant in mutants)
    assert {mutant.operator for mutant in mutants} <= OPERATORS.keys()


def test_a_sample_is_the_same_for_a_seed_and_has_every_operator() -> None:
    mutants = list(mutants_of(original()))
    drawn = sample(mutants, 30, "seed")
    assert [mutant.name for mutant in drawn] == [mutant.name for mutant in sample(reversed(mutants), 30, "seed")]
    assert [mutant.name for mutant in drawn] != [mutant.name for mutant in sample(mutants, 30, "another")]
    operators = {mutant.operator for mutant in mutants}
    assert {mutant.operator for mutant in sample(mutants, len(operators), "seed")} == operators


def test_a_sample_holds_python_alone() -> None:
    broken = Mutant(original(), "constant", 1, 0, 0, "def part(:")
    assert sample([broken], 0, "seed") == []
    assert not is_python("%%time\nx = 1")
