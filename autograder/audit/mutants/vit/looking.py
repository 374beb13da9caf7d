# Text that runs behind the wall after the notebook's first cell, which names np, tf, keras and the parts of utilities.
# It holds what all looks are made with: inputs, weights, and what a model or layer does by aspect (arrays, numbers,
# texts, or the kind of exception it raises).
import inspect
import itertools
import os
import tempfile

import utilities

QUICK = False
"""Whether to look at what tells most mistakes, and leave the rest."""


def number_of_seed(text):
    return sum(place * ord(letter) for place, letter in enumerate(text, 1)) % 2**31


def drawn(*shape, seed="x", size=1.0):
    """Return numbers that are the same for the same shape and seed."""
    rng = np.random.default_rng(number_of_seed(f"{seed}{shape}"))
    return (size * rng.normal(size=shape)).astype("float32")


def raised(error):
    """Return what is seen where a look ends in an exception."""
    return {"raises": type(error).__name__}


class Looks(dict):
    """Aspects, and what was seen of each."""

    def at(self, aspect, look):
        try:
            self[aspect] = plain(look())
        except BaseException as error:
            self[aspect] = raised(error)


def plain(value):
    """Return a value as arrays, numbers and texts, with lists and tuples told apart."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in value}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__ if type(value) in (list, tuple) else "tuple", *map(plain, value)]
    if isinstance(value, (tf.Tensor, tf.Variable, np.ndarray, np.generic)) or tf.is_tensor(value):
        array = np.asarray(value)
        return array if array.dtype.kind in "biuf" else str(array.dtype)
    return type(value).__name__


class FunctionLayer(keras.layers.Layer):
    """Calls a function within a layer, so that it runs in a phase."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, *inputs, **_phase):
        return self.function(*inputs)


def set_weights(layer, seed="w"):
    """Give all variables of a layer values that depend on their shape and on which one of that shape it is."""
    seen = {}
    for variable in layer.weights:
        shape = tuple(variable.shape)
        seen[shape] = seen.get(shape, 0) + 1
        scale = 1.0 if len(shape) < 2 else shape[-2] ** -0.5
        variable.assign(drawn(*shape, seed=f"{seed}{seen[shape]}", size=scale))


def in_one_order(rows):
    """Return rows sorted by a sum of their values with random factors: equal rows of two layers come to one place."""
    array = np.asarray(rows)
    return array[np.argsort(array @ drawn(array.shape[-1], seed="order").astype(float))]


def structure(layer):
    """Return shapes and trainability of all variables, sorted, and what they add to a loss."""
    trained = {id(variable) for variable in layer.trainable_weights}
    rows = sorted(
        f"{tuple(variable.shape)} {variable.dtype.name} {id(variable) in trained}" for variable in layer.weights
    )
    return {"variables": rows, "penalty": float(sum(float(tf.reduce_sum(loss)) for loss in layer.losses))}


def shapes_of(layer):
    return [list(variable.shape) for variable in layer.weights]


def defaults(function):
    return {
        name: plain(parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }


def called(layer, *inputs, **phase):
    given = [list(inputs)] if isinstance(layer, keras.Model) and len(inputs) > 1 else inputs
    return layer(*given, **phase)


def first_of(answer):
    return answer[0] if isinstance(answer, (list, tuple)) else answer


def gradients(layer, *inputs, training=False, of=first_of):
    """Return gradients by inputs and trained weights."""
    tensors = [tf.constant(array) for array in inputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        output = of(called(layer, *tensors, training=training))
        total = tf.reduce_sum(output * drawn(*output.shape, seed="cotangent"))
    found = tape.gradient(total, [*tensors, *layer.trainable_weights])
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in found]


def samples(layer, *inputs, times=4096, of=first_of):
    """Return outputs in training for copies of one input, and again for a few: masks may be shared in a batch."""
    copies = [np.repeat(array[:1], times, axis=0) for array in inputs]
    few = [np.repeat(array[:1], 4, axis=0) for array in inputs]
    calls = [np.asarray(of(called(layer, *few, training=True))) for _ in range(6)]
    return {"many": np.asarray(of(called(layer, *copies, training=True))), "few": np.stack(calls)}


def initial_values(make):
    """Return the size of the first values of each variable, made twice with seeds."""
    keras.utils.set_random_seed(5)
    return [[float(np.mean(value)), float(np.std(value))] for value in make().get_weights()]


def saved_and_loaded(make, *inputs):
    """Return whether weights that are saved and loaded again give the same output."""
    model, other = make(), make()
    set_weights(model)
    path = os.path.join(tempfile.mkdtemp(), "saved.weights.h5")
    model.save_weights(path)
    other.load_weights(path)
    return bool(np.allclose(first_of(called(model, *inputs)), first_of(called(other, *inputs)), atol=1e-6))


def look_at_model(looks, name, make, *inputs, rates=True):
    """Look at everything that a model or layer does."""
    try:
        model = make()
        called(model, *inputs)
        set_weights(model)
    except BaseException as error:
        looks[name] = raised(error)
        return
    looks.at(f"{name}: variables", lambda: structure(model))
    looks.at(f"{name}: output", lambda: called(model, *inputs))
    looks.at(f"{name}: gradients", lambda: gradients(model, *inputs))
    if QUICK:
        return
    looks.at(f"{name}: output in inference", lambda: called(model, *inputs, training=False))
    looks.at(f"{name}: output again", lambda: called(model, *[2 * array[:1] for array in inputs]))
    looks.at(f"{name}: large", lambda: called(model, *[20 * array for array in inputs]))
    if rates:
        looks.at(f"{name}: samples", lambda: samples(model, *inputs))
    else:
        looks.at(f"{name}: output in training", lambda: called(model, *inputs, training=True))
        looks.at(f"{name}: gradients in training", lambda: gradients(model, *inputs, training=True))


def model_on(shape, make):
    def made():
        inputs = keras.Input(shape)
        output = make(inputs)
        if not keras.backend.is_keras_tensor(output):
            raise TypeError("no tensor")
        return keras.Model(inputs, output)

    return made
