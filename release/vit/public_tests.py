"""Public tests of what you write in `utilities.py`; the notebook and `check.py` run them.

Given: there is nothing to write here, and grading does not use your copy.

The tests check properties that every right solution has, whatever its weights are called, and a few examples
that can be worked out by hand. Results of float32 arithmetic depend on the order of the additions, which
differs between CPU and GPU, by some units in the seventh digit. So numbers around 1 are compared with a
tolerance of 1e-5, and those at the end of a longer chain of layers with 1e-4.
"""

import contextlib
import functools
import importlib
import itertools
import sys

import numpy as np
import tensorflow as tf
import tf_keras as keras

CLOSE = 1e-5
CLOSE_AFTER_MANY_LAYERS = 1e-4


def _utilities():
    """Return your module as it is when a test runs, so that an edit counts once the module is reloaded.

    An import at the top would go round in a circle, since `utilities` imports the tests.
    """
    return importlib.import_module("utilities")


@contextlib.contextmanager
def _full_float32():
    """Switch TensorFloat-32 off for a while: on recent GPUs it rounds products to three digits."""
    settings = tf.config.experimental
    was_enabled = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(was_enabled)


@contextlib.contextmanager
def _one_keras():
    """Fail where layers of Keras 3 were made that cannot work in a model of tf_keras, whatever came of them."""
    other = getattr(sys.modules.get("keras"), "Layer", None)
    if other is None or issubclass(keras.layers.Layer, other):
        yield  # there is no other Keras
        return
    made, original = [], other.__init__

    @functools.wraps(original)
    def noted(self, *args, **kwargs):
        made.append(self)
        original(self, *args, **kwargs)

    other.__init__ = noted
    try:
        yield
    except Exception as error:
        _expect_one_keras(made, error)
        raise
    finally:
        other.__init__ = original
    _expect_one_keras(made)


def _expect_one_keras(made, error=None):
    """Check that these layers of Keras 3 need nothing of their model: they have no weights and no dropout."""
    needy = [layer for layer in made if not layer.built or layer.variables or _is_input(layer)]
    if needy:
        raise AssertionError(
            f"{type(needy[0]).__name__}: this is a layer of Keras 3, which `keras` and `tf.keras` are. A model of "
            "tf_keras neither trains its weights nor tells it whether it trains. Write `import tf_keras as keras`, "
            "and take every layer and base class from there."
        ) from error


def _is_input(layer):
    """Whether a layer of Keras 3 is the input of one of its models."""
    return type(layer).__name__ == "InputLayer"


def _expect(condition, message):
    """Raise AssertionError with the message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


def _expect_shape(what, got, expected, hint):
    """Check a shape; the message says what was expected, what it is, and what to try."""
    shape = tuple(getattr(got, "shape", ()))
    _expect(shape == tuple(expected), f"{what}: expected shape {tuple(expected)}, got {shape}. {hint}")


def _expect_close(what, got, expected, hint, tolerance=CLOSE):
    """Check that two arrays have the same shape and nearly equal, finite values."""
    got, expected = np.asarray(got, "float64"), np.asarray(expected, "float64")
    _expect_shape(what, got, expected.shape, hint)
    _expect(np.isfinite(got).all(), f"{what}: expected finite numbers, got NaN or infinity. {hint}")
    difference = np.abs(got - expected).max()
    values = (
        f"expected {expected.tolist()}, got {got.tolist()}" if expected.size <= 8 else "the values differ"
    )
    _expect(difference <= tolerance, f"{what}: {values} (largest difference {difference:.3g}). {hint}")


def _expect_different(what, first, second, hint):
    """Check that two results differ by more than rounding."""
    difference = np.abs(np.asarray(first) - np.asarray(second)).max()
    _expect(difference > 10 * CLOSE, f"{what}: expected two different results, got the same one. {hint}")


def _expect_parameters(what, owner, expected, hint):
    """Check the number of parameters, and that all of them are trainable."""
    count = owner.count_params()
    _expect(count == expected, f"{what}: expected {expected} parameters, got {count}. {hint}")
    trainable = sum(int(np.prod(weight.shape)) for weight in owner.trainable_weights)
    message = f"{what}: expected {expected} trainable parameters, got {trainable}. Are all weights trainable?"
    _expect(trainable == expected, message)


def _normal(rng, *shape):
    """Return normal random numbers of this shape, as float32."""
    return rng.normal(size=shape).astype("float32")


def _attend(q, k, v):
    """Call scaled_dot_product_attention and check that it returns a pair of the right shapes."""
    result = _utilities().scaled_dot_product_attention(tf.constant(q), tf.constant(k), tf.constant(v))
    is_pair = isinstance(result, (tuple, list)) and len(result) == 2
    _expect(is_pair, f"Return the pair (output, attention_weights); got {type(result).__name__}.")
    output, weights = result
    hint = "The output comes first: one mixture of values, and one row of weights, for each query."
    _expect_shape("output", output, (*q.shape[:-1], v.shape[-1]), hint)
    _expect_shape("attention_weights", weights, (*q.shape[:-1], k.shape[-2]), hint)
    return np.asarray(output), np.asarray(weights)


@_full_float32()
@_one_keras()
def test_scaled_dot_product_attention(seed=0):
    """Test `scaled_dot_product_attention` on a worked example and on its properties.

    Args:
        seed: Seed of the random inputs; every seed must pass.

    Raises:
        AssertionError: With what was expected, what it is, and what to try.
    """
    rng = np.random.default_rng(seed)
    for leading in ((2,), (2, 3)):
        q, k, v = (_normal(rng, *leading, *shape) for shape in ((4, 6), (5, 6), (5, 7)))
        _check_attention_properties(rng, q, k, v)
    _check_attention_example()
    _check_attention_extremes(rng)
    print("scaled_dot_product_attention: all public tests passed.")


def _check_attention_example():
    """Check one query and two keys.

    The scores 2 ln 3 and 0, divided by 2 (head_dim is 4), give the weights 3/4 and 1/4.
    """
    q = np.array([[[2 * np.log(3), 0, 0, 0]]], "float32")  # (batch, queries, head_dim)
    k = np.array([[[1, 0, 0, 0], [0, 1, 0, 0]]], "float32")  # (batch, keys, head_dim)
    v = np.array([[[0, 8, 4], [4, 0, 4]]], "float32")  # (batch, keys, value_dim)
    output, weights = _attend(q, k, v)
    hint = "Work the example out on paper. Are the scores scaled, and by the right number?"
    _expect_close("attention_weights of the worked example", weights, [[[0.75, 0.25]]], hint)
    _expect_close("output of the worked example", output, [[[1, 6, 4]]], "Mix the values with the weights.")


def _check_attention_properties(rng, q, k, v):
    """Check what holds for all inputs: rows sum to 1, and neither order nor batch matters."""
    output, weights = _attend(q, k, v)
    hint = "Over which axis does the softmax run? Each query distributes a total of 1 over the keys."
    _expect_close(
        "sum of the attention weights of each query", weights.sum(-1), np.ones(weights.shape[:-1]), hint
    )
    _expect(weights.min() >= 0, f"attention_weights: expected no number below 0, got {weights.min()}. {hint}")
    order = rng.permutation(k.shape[-2])
    hint = "Value j belongs to key j. Nothing else may depend on the order of the keys."
    _expect_close(
        "output after shuffling keys and values",
        _attend(q, k[..., order, :], v[..., order, :])[0],
        output,
        hint,
    )
    order = rng.permutation(q.shape[-2])
    hint = "Row i of the output belongs to query i alone."
    _expect_close(
        "output after shuffling queries", _attend(q[..., order, :], k, v)[0], output[..., order, :], hint
    )
    hint = "Sequences in a batch must not influence each other; work on the last two axes only."
    _expect_close("output for the first item alone", _attend(q[:1], k[:1], v[:1])[0], output[:1], hint)


def _check_attention_extremes(rng):
    """Check that a perfect match retrieves its value, and that huge scores do not overflow."""
    keys = 10 * np.eye(5, 6, dtype="float32")[None]
    values, wanted = _normal(rng, 1, 5, 7), [3, 1, 4, 0]
    hint = "Compare queries with keys by dot products: the key that equals the query must win."
    _expect_close(
        "values retrieved by matching keys",
        _attend(keys[:, wanted], keys, values)[0],
        values[:, wanted],
        hint,
    )
    hint = "exp() of a large number overflows; tf.nn.softmax avoids that."
    output = _attend(100 * keys[:, wanted], 100 * keys, values)[0]
    _expect_close("values retrieved with huge scores", output, values[:, wanted], hint)


@_full_float32()
@_one_keras()
def test_MultiHeadAttention(seed=0):
    """Test `MultiHeadAttention` on a worked example, its parameter count and its properties.

    Args:
        seed: Seed of the random inputs; every seed must pass.

    Raises:
        AssertionError: With what was expected, what it is, and what to try.
    """
    rng = np.random.default_rng(seed)
    q, k, v = _normal(rng, 2, 7, 5), _normal(rng, 2, 8, 5), _normal(rng, 2, 8, 6)
    _check_heads_parameters(q, k, v)
    _check_heads_order(rng, q, k, v)
    _check_heads_dependencies(rng, q, k, v)
    _check_heads_example()
    _check_heads_gradients(q, k, v)
    _check_heads_weights(q, k, v)
    print("MultiHeadAttention: all public tests passed.")


def _multi_head(layer, q, k, v, width=4):
    """Call the layer on arrays, check type and shape of its output, and return it."""
    output = layer(tf.constant(q), tf.constant(k), tf.constant(v))
    is_one = not isinstance(output, (tuple, list))
    _expect(is_one, "MultiHeadAttention: return only the output unless return_attention_weights is True.")
    hint = "One row for each query, proj_size features in each row."
    _expect_shape("MultiHeadAttention", output, (*q.shape[:2], width), hint)
    return np.asarray(output)


def _check_heads_parameters(q, k, v):
    """Check sizes and parameter counts with a different length on every axis, in a functional model too."""
    layer = _utilities().MultiHeadAttention(3, 4, 5, 6)
    inputs = [keras.Input(array.shape[1:]) for array in (q, k, v)]
    model = keras.Model(inputs, layer(*inputs))
    hint = (
        "For each head WQ and WK are (dk, proj_size) and WV is (dv, proj_size), all without biases; WO is "
        "(n_heads * proj_size, proj_size). If the count is too small, Keras may not track some of the "
        "weights."
    )
    _expect_parameters("MultiHeadAttention(3, 4, 5, 6)", model, 3 * 4 * (5 + 5 + 6) + 3 * 4 * 4, hint)
    same = _utilities().MultiHeadAttention(2, 6, 6, 6)
    _multi_head(same, v, v, v, width=6)
    _expect_parameters("MultiHeadAttention with dk = dv = proj_size", same, 4 * 2 * 6**2, hint)


def _check_heads_example():
    """Check an example where every weight is 1/2, so that all heads and features are alike.

    With proj_size 4, a query of sum 2 becomes four times 1, and a key of sum ln 3 becomes four times
    ln(3) / 2. Their score is 2 ln 3, scaled ln 3; the other key's score is 0. So the weights are 3/4 and 1/4.
    The values sum to 4 and 0; projected they are 2 and 0, mixed 3/2. The output adds 3 heads of 4 such
    features, times 1/2: 9.
    """
    layer = _utilities().MultiHeadAttention(3, 4, 5, 6)
    q = np.full((1, 1, 5), 2 / 5, "float32")
    k = np.stack([np.full((1, 5), np.log(3) / 5), np.zeros((1, 5))], axis=1).astype("float32")
    v = np.stack([np.full((1, 6), 4 / 6), np.zeros((1, 6))], axis=1).astype("float32")
    _multi_head(layer, q, k, v)  # layers that make their weights in build() have them from here on
    layer.set_weights([np.full(weight.shape, 0.5) for weight in layer.get_weights()])
    hint = (
        "Work out on paper the example in the docstring of _check_heads_example. Scale by the square root of "
        "the head's width."
    )
    output = _multi_head(layer, q, k, v)
    _expect_close(
        "MultiHeadAttention, all weights 1/2", output, np.full((1, 1, 4), 9.0), hint, tolerance=1e-4
    )


def _check_heads_dependencies(rng, q, k, v):
    """Check what the output depends on: the queries, the keys, and linearly the values."""
    layer = _utilities().MultiHeadAttention(3, 4, 5, 6)
    output = _multi_head(layer, q, k, v)
    _expect_different("other queries", output, _multi_head(layer, q[:, ::-1] + 1, k, v), "Is Q used?")
    _expect_different("other keys", output, _multi_head(layer, q, k[:, ::-1] + 1, v), "Is K used?")
    _expect_different(
        "other values", output, _multi_head(layer, q, k, v[:, ::-1] + 1), "Is V used, or K in its place?"
    )
    hint = "Attention weights depend on Q and K only, and there are no biases: the output is linear in V."
    _expect_close(
        "MultiHeadAttention for 2 * V",
        _multi_head(layer, q, k, 2 * v),
        2 * output,
        hint,
        CLOSE_AFTER_MANY_LAYERS,
    )
    equal = np.repeat(_normal(rng, 2, 1, 6), 8, axis=1)
    hint = "If all values are equal, each query receives just that value: do its weights sum to 1?"
    mixed = _multi_head(layer, q, k, equal)
    _expect_close("MultiHeadAttention for equal values", mixed, np.repeat(mixed[:, :1], 7, axis=1), hint)
    _expect_close("the same for other queries", _multi_head(layer, q + 1, k, equal), mixed, hint)


def _check_heads_order(rng, q, k, v):
    """Check that each query is answered on its own, whatever the order of queries and keys."""
    layer = _utilities().MultiHeadAttention(3, 4, 5, 6)
    output = _multi_head(layer, q, k, v)
    order = rng.permutation(7)
    hint = (
        "Row i of the output must depend on query i alone. When you merge the heads, does a reshape mix the "
        "features of different queries? Write down the order of the axes before the reshape."
    )
    _expect_close(
        "MultiHeadAttention after shuffling queries",
        _multi_head(layer, q[:, order], k, v),
        output[:, order],
        hint,
    )
    order = rng.permutation(8)
    hint = "Value j belongs to key j. Check the axes where you split K and V into heads."
    shuffled = _multi_head(layer, q, k[:, order], v[:, order])
    _expect_close("MultiHeadAttention after shuffling keys and values", shuffled, output, hint)
    hint = "Items of a batch must not influence each other."
    _expect_close(
        "MultiHeadAttention, second item alone", _multi_head(layer, q[1:], k[1:], v[1:]), output[1:], hint
    )


def _check_heads_gradients(q, k, v):
    """Check that every single number in the weights has an effect on the output."""
    layer = _utilities().MultiHeadAttention(3, 4, 5, 6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(tf.constant(q), tf.constant(k), tf.constant(v))))
    for gradient in tape.gradient(loss, layer.trainable_weights):
        numbers = np.zeros(1) if gradient is None else np.asarray(tf.convert_to_tensor(gradient))
        _expect(
            np.all(numbers != 0),
            "MultiHeadAttention: some weights have no effect. Are all heads and projections used?",
        )


def _check_heads_weights(q, k, v):
    """Check the attention weights that come with the flag; a mean over the heads is accepted too."""
    layer = _utilities().MultiHeadAttention(3, 4, 5, 6, return_attention_weights=True)
    result = layer(tf.constant(q), tf.constant(k), tf.constant(v))
    is_pair = isinstance(result, (tuple, list)) and len(result) == 2
    _expect(
        is_pair, "MultiHeadAttention: with return_attention_weights=True, return the pair (output, weights)."
    )
    _expect_shape("output with return_attention_weights", result[0], (2, 7, 4), "The output comes first.")
    weights = np.asarray(result[1])
    shape_is_right = weights.shape in ((2, 3, 7, 8), (2, 7, 8))
    message = f"weights: expected shape (batch, heads, queries, keys) = (2, 3, 7, 8), got {weights.shape}."
    _expect(shape_is_right, message)
    hint = "The weights of each query sum to 1 over the keys."
    _expect_close("sum of the weights", weights.sum(-1), np.ones(weights.shape[:-1]), hint)


@_full_float32()
@_one_keras()
def test_mlp(seed=0):
    """Test `mlp`: widths, parameters, the non-linearity and when dropout acts.

    Args:
        seed: Seed of the random inputs; every seed must pass.

    Raises:
        AssertionError: With what was expected, what it is, and what to try.
    """
    x = _normal(np.random.default_rng(seed), 8, 5, 6)
    model = _mlp_model([7, 3], 0.5)
    hint = "One Dense layer (with bias) for each width, one after the other."
    _expect_shape("mlp with the widths [7, 3]", model(x), (8, 5, 3), hint)
    _expect_parameters("mlp from 6 features to [7, 3]", model, (6 * 7 + 7) + (7 * 3 + 3), hint)
    _expect_parameters("mlp from 6 features to [4]", _mlp_model([4], 0.5), 6 * 4 + 4, hint)
    _check_dropout("mlp", model, x, 0.5)
    _check_dropout("mlp", _mlp_model([7, 3], 0.0), x, 0.0)
    _check_mlp_example()
    print("mlp: all public tests passed.")


def _mlp_model(hidden_units, dropout_rate):
    """Return a model that is nothing but `mlp` on tokens of 6 features."""
    inputs = keras.Input((5, 6))
    return keras.Model(inputs, _utilities().mlp(inputs, hidden_units, dropout_rate))


def _check_mlp_example():
    """Check an example with all kernels 1 and all biases 30, far from where ReLU and GELU differ.

    Tokens of sum 10 give hidden values 40, seven of them and the bias 310. Tokens of sum -1000 give hidden
    values -970, which the non-linearity turns into 0, so that only the bias 30 is left.
    """
    model = _mlp_model([7, 3], 0.5)
    model.set_weights(
        [np.full(weight.shape, 1.0 if weight.ndim > 1 else 30.0) for weight in model.get_weights()]
    )
    sums = np.array([10, -1000, 10, 10, -1000], "float32").reshape(1, 5, 1)
    output = np.asarray(model(np.repeat(sums / 6, 6, axis=-1)))
    expected = np.repeat(np.where(sums > 0, 310.0, 30.0), 3, axis=-1)
    hint = "Every Dense layer but the last needs a non-linearity (ReLU or GELU)."
    # The sums reach 1000, so rounding is a thousand times as large as elsewhere.
    _expect_close("mlp, kernels 1 and biases 30", output, expected, hint, tolerance=0.01)


def _check_dropout(what, model, x, rate):
    """Check that dropout acts in training only, and never if its rate is 0."""
    first = np.asarray(model(x, training=False))
    hint = "Use keras.layers.Dropout, which acts only when training is True, and pass it the rate."
    _expect_close(f"{what}, called twice without training", model(x, training=False), first, hint)
    if rate > 0:
        noisy = np.asarray(model(x, training=True))
        _expect_different(f"{what}, with and without training at rate {rate}", first, noisy, hint)
    else:
        trained = model(x, training=True)
        _expect_close(f"{what} in training at rate 0", trained, first, hint, CLOSE_AFTER_MANY_LAYERS)


@_full_float32()
@_one_keras()
def test_TransformerBlock(seed=0, dropout_rate=0.1):
    """Test `transformerBlock` as part of a functional model.

    Args:
        seed: Seed of the random inputs; every seed must pass.
        dropout_rate: Rate of dropout in the block, in [0, 1).

    Raises:
        AssertionError: With what was expected, what it is, and what to try.
    """
    x = _normal(np.random.default_rng(seed), 64, 5, 6)
    model = _block_model(dropout_rate)
    _expect_shape("transformerBlock", model(x), x.shape, "The block does not change the shape of its input.")
    hint = (
        "Expected are one MultiHeadAttention (4 * heads * model_dim**2), two LayerNormalizations (2 * "
        "model_dim each) and one mlp with the widths transformer_units."
    )
    _expect_parameters(
        "transformerBlock", model, 4 * 2 * 6**2 + 2 * 2 * 6 + (6 * 11 + 11) + (11 * 6 + 6), hint
    )
    _check_block_normalisation(model, x)
    _check_block_tokens(model, x)
    _check_block_residuals(x, dropout_rate)
    _check_dropout("transformerBlock", model, x, dropout_rate)
    _check_block_dropouts(x, dropout_rate)
    print("transformerBlock: all public tests passed.")


def _block_model(dropout_rate):
    """Return a model that is one block: 5 tokens, model_dim 6, 2 heads, mlp widths 11 and 6."""
    inputs = keras.Input((5, 6))
    return keras.Model(inputs, _utilities().transformerBlock(inputs, 2, 6, [11, 6], dropout_rate))


def _silenced(dropout_rate, attention=False, perceptron=False):
    """Return a block whose attention or mlp adds nothing because its matrices are 0."""
    model = _block_model(dropout_rate)
    weights = []
    for weight in model.get_weights():
        is_silent = perceptron if 11 in weight.shape else attention  # only mlp matrices have an axis of 11
        is_silent = is_silent and weight.ndim > 1  # biases and normalisations stay
        weights.append(np.zeros_like(weight) if is_silent else weight)
    model.set_weights(weights)
    return model


def _check_block_normalisation(model, x):
    """Check mean 0 and variance 1 of each token at the start; epsilon lowers the variance a little."""
    output = np.asarray(model(10 * x, training=False))
    hint = "The block ends with a LayerNormalization of each token's features, after the residual addition."
    _expect_close("mean of each token", output.mean(-1), np.zeros((64, 5)), hint, CLOSE_AFTER_MANY_LAYERS)
    _expect_close("variance of each token", output.var(-1), np.ones((64, 5)), hint, tolerance=0.05)


def _check_block_tokens(model, x):
    """Check that tokens see each other, in whatever order, and that items of a batch do not."""
    output = np.asarray(model(x, training=False))
    changed = x.copy()
    changed[:, 0] = -2 * changed[:, 1] + 1
    others = np.asarray(model(changed, training=False))[:, 1:]
    _expect_different(
        "tokens 1 to 4 after a change of token 0", output[:, 1:], others, "Do tokens attend to each other?"
    )
    order = [3, 0, 4, 1, 2]
    hint = "The block knows no order: normalise over features, not tokens, and pass x as Q, K and V."
    shuffled = model(x[:, order], training=False)
    _expect_close("output for shuffled tokens", shuffled, output[:, order], hint, CLOSE_AFTER_MANY_LAYERS)
    hint = "Items of a batch must not influence each other."
    _expect_close(
        "output for the first item alone",
        model(x[:1], training=False),
        output[:1],
        hint,
        CLOSE_AFTER_MANY_LAYERS,
    )


def _check_block_residuals(x, dropout_rate):
    """Check the residuals with sublayers that add nothing.

    Inputs are 10 times as large as usual, so that an epsilon of up to 1e-3 changes the first normalisation
    by less than 1e-4; it may change the second one by 2e-3.
    """
    normalised = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    quiet = _silenced(dropout_rate, attention=True, perceptron=True)
    hint = "If both sublayers return 0, the residuals still carry x: the result is x, normalised."
    _expect_close(
        "block with all matrices 0", quiet(10 * x, training=False), normalised, hint, tolerance=0.02
    )
    no_attention = _silenced(dropout_rate, attention=True)
    hint = (
        "The mlp and the second residual start from the normalised result of the attention sublayer, not "
        "from x."
    )
    expected = np.asarray(no_attention(10 * x, training=False))
    _expect_close(
        "block without attention, for 3 x",
        no_attention(30 * x, training=False),
        expected,
        hint,
        tolerance=0.02,
    )
    hint = "Does the mlp's result reach the output?"
    _expect_different("block with and without its mlp", expected, quiet(10 * x, training=False), hint)
    hint = "Does the second residual add the result of the first sublayer rather than x?"
    no_mlp = _silenced(dropout_rate, perceptron=True)
    _expect_different(
        "block with and without attention", no_mlp(x, training=False), quiet(x, training=False), hint
    )


def _check_block_dropouts(x, dropout_rate):
    """Check that each sublayer has a dropout, by silencing the other one."""
    if dropout_rate == 0:
        return
    for name, model in (
        ("attention", _silenced(dropout_rate, perceptron=True)),
        ("mlp", _silenced(dropout_rate, attention=True)),
    ):
        hint = f"The output of the {name} sublayer goes through a dropout before the residual addition."
        results = model(x, training=True), model(x, training=False)
        _expect_different(f"block in training and not, {name} alone", *results, hint)


def test_PatchExtractor():
    """Test `PatchExtractor` on numbered pixels.

    Raises:
        AssertionError: With what was expected, what it is, and what to try.
    """
    extractor = _utilities().PatchExtractor
    hint = "patches = (side / patch_size)**2 and patch_dim = patch_size**2 * channels."
    _expect_shape("PatchExtractor(8) of one image", extractor(8)(tf.zeros((1, 32, 32, 3))), (1, 16, 192), hint)
    images = np.arange(2 * 12 * 12 * 3, dtype="float32").reshape(2, 12, 12, 3)
    patches = extractor(4)(tf.constant(images))
    _expect_shape("PatchExtractor(4) of two images", patches, (2, 9, 48), hint)

    image = tf.reshape(tf.range(16.0), (1, 4, 4, 1))  # pixels numbered row by row
    expected = [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]
    hint = "Patches come row by row, and so do the pixels in a patch, without overlap and without gaps."
    _expect_close("PatchExtractor(2) of 4 by 4 numbered pixels", extractor(2)(image), expected, hint)

    red_green = tf.concat([image, image + 100], axis=-1)
    first = [0, 100, 1, 101, 4, 104, 5, 105]
    hint = "Inside a patch the order is row, column, channel: all channels of a pixel stay together."
    _expect_close("first patch of an image with two channels", extractor(2)(red_green)[0, 0], first, hint)

    hint = "Each image is cut on its own, and every pixel goes to exactly one patch."
    ordered = np.sort(np.asarray(patches).reshape(2, -1), axis=-1)
    _expect_close("pixels of each image, sorted", ordered, images.reshape(2, -1), hint)
    second = extractor(4)(tf.constant(images[1:]))
    _expect_close("patches of the second image alone", second, patches[1:], hint)
    print("PatchExtractor: all public tests passed.")


@_full_float32()
@_one_keras()
def test_PatchEncoder(seed=0):
    """Test `PatchEncoder`: parameters, class token, positions and projection.

    Args:
        seed: Seed of the random inputs; every seed must pass.

    Raises:
        AssertionError: With what was expected, what it is, and what to try.
    """
    rng = np.random.default_rng(seed)
    patches = _normal(rng, 2, 9, 5)
    layer = _utilities().PatchEncoder(9, 7)
    tokens = layer(tf.constant(patches))
    hint = "With the class token there is one token more than there are patches."
    _expect_shape("PatchEncoder(9, 7)", tokens, (2, 10, 7), hint)
    hint = (
        "Expected are a Dense layer (5 * 7 + 7), one class token (7) and an Embedding with one row for each "
        "token, the class token included (10 * 7)."
    )
    _expect_parameters("PatchEncoder(9, 7) on patches of 5 numbers", layer, (5 * 7 + 7) + 7 + 10 * 7, hint)
    _check_class_token(rng, layer, patches)
    _check_positions(rng, layer, patches)
    _check_projection(layer, patches)
    print("PatchEncoder: all public tests passed.")


def _check_class_token(rng, layer, patches):
    """Check that one token, first or last, ignores the patches and is the same for every image."""
    tokens, others = np.asarray(layer(patches)), np.asarray(layer(_normal(rng, *patches.shape)))
    changes = np.abs(tokens - others).max(axis=(0, 2))
    constant = [int(token) for token in np.flatnonzero(changes <= CLOSE)]
    message = (
        "PatchEncoder: expected token 0, the class token, to be the only one that does not depend on the "
        f"patches; the tokens that do not depend on them are {constant}. Join one learnable vector to the "
        "projected patches."
    )
    _expect(constant in ([0], [len(changes) - 1]), message)
    hint = "The class token is one learnable vector, shared by all images of a batch."
    _expect_close("class token of the second image", tokens[1, constant[0]], tokens[0, constant[0]], hint)


def _check_positions(rng, layer, patches):
    """Check, with all other weights 0, that every token equals its own row of the position table."""
    table = _normal(rng, 10, 7)
    weights = layer.get_weights()
    is_table = [weight.shape[-2:] == (10, 7) for weight in weights]
    _expect(
        sum(is_table) == 1,
        "PatchEncoder: expected one position embedding of shape (patches + 1, projection_dim).",
    )
    only_positions = [
        table.reshape(weight.shape) if positions else np.zeros_like(weight)
        for weight, positions in zip(weights, is_table, strict=True)
    ]
    layer.set_weights(only_positions)
    tokens = np.asarray(layer(patches))
    layer.set_weights(weights)
    hint = "Add a position to all tokens, the class token included, and a different one to each."
    by_first_feature = tokens[:, :, 0].argsort(axis=1)[..., None]
    rows = np.take_along_axis(tokens, by_first_feature, axis=1)  # in one order, wherever the class token is
    expected = np.repeat(table[table[:, 0].argsort()][None], 2, axis=0)
    _expect_close("tokens when all weights but the positions are 0", rows, expected, hint)


def _check_projection(layer, patches):
    """Check that the projection is affine, and the same for every patch."""
    tokens, zero = np.asarray(layer(patches)), np.asarray(layer(0 * patches))
    hint = "The projection is linear: a Dense layer without activation."
    _expect_close("tokens of -patches", layer(-patches), 2 * zero - tokens, hint)
    order = [4, 2, 0, 8, 6, 1, 3, 5, 7]
    is_patch = np.abs(tokens - zero).max(axis=(0, 2)) > CLOSE
    content = (tokens - zero)[:, is_patch]
    shuffled = (np.asarray(layer(patches[:, order])) - zero)[:, is_patch]
    hint = "Every patch goes through the same projection, and token i comes from patch i."
    _expect_close("tokens of shuffled patches, without positions", shuffled, content[:, order], hint)


@_full_float32()
@_one_keras()
def test_create_vit_classifier():
    """Test `create_vit_classifier` with small models of different sizes.

    Raises:
        AssertionError: With what was expected, what it is, and what to try.
    """
    images = np.random.default_rng(0).uniform(-1, 1, (4, 12, 12, 3)).astype("float32")
    for layers, head in ((1, [7]), (2, [7, 8])):
        model = _small_vit(transformer_layers=layers, mlp_classification_head_units=head)
        _check_vit_sizes(model, layers, head)
    _check_vit_logits(model, images)
    _check_vit_reads_class_token(images)
    _check_dropout("the classifier", model, images, 0.3)
    print("create_vit_classifier: all public tests passed.")


def _small_vit(**changes):
    """Return a small classifier: 9 patches of 48 numbers, model_dim 6, 2 heads, 5 classes."""
    sizes = {
        "input_shape": (12, 12, 3),
        "num_classes": 5,
        "patch_size": 4,
        "embedding_proj_dim": 6,
        "num_heads": 2,
    }
    rates = {"msa_dropout_rate": 0.3, "mlp_classification_head_dropout_rate": 0.3}
    return _utilities().create_vit_classifier(**{**sizes, "msa_proj_dim": 6, **rates, **changes})


def _check_vit_sizes(model, layers, head):
    """Check the shapes and the number of parameters of a small classifier."""
    _expect(isinstance(model, keras.Model), "create_vit_classifier: return a keras.Model (tf_keras).")
    _expect_shape(
        "input of the classifier", model.input, (None, 12, 12, 3), "Use keras.Input(shape=input_shape)."
    )
    _expect_shape("output of the classifier", model.output, (None, 5), "One logit for each class.")
    encoder = (48 * 6 + 6) + 6 + 10 * 6
    block = 4 * 2 * 6**2 + 2 * 2 * 6 + (6 * 12 + 12) + (12 * 6 + 6)
    widths = [6, *head, 5]
    classifier = sum(width * units + units for width, units in itertools.pairwise(widths))
    hint = (
        f"Expected are {encoder} in the PatchEncoder, {block} in each transformer layer and {classifier} in "
        "the head with the last Dense layer; compare with model.summary()."
    )
    what = f"classifier with {layers} transformer layer(s) and the head {head}"
    _expect_parameters(what, model, encoder + layers * block + classifier, hint)


def _check_vit_logits(model, images):
    """Check that the outputs are logits that depend on every patch of their own image only."""
    logits = np.asarray(model(images, training=False))
    looks_like_softmax = logits.min() >= 0 and np.abs(logits.sum(-1) - 1).max() < CLOSE_AFTER_MANY_LAYERS
    _expect(not looks_like_softmax, "create_vit_classifier: return logits; leave the softmax to the loss.")
    hint = "Does every patch reach the class token?"
    for row in range(0, 12, 4):
        for column in range(0, 12, 4):
            changed = images.copy()
            changed[:, row : row + 4, column : column + 4] *= -1
            place = f"the patch at row {row}, column {column}"
            _expect_different(
                f"logits after a change of {place}", logits, model(changed, training=False), hint
            )
    hint = "Images of a batch must not influence each other."
    _expect_close(
        "logits of one image alone",
        model(images[:1], training=False),
        logits[:1],
        hint,
        CLOSE_AFTER_MANY_LAYERS,
    )


def _check_vit_reads_class_token(images):
    """Check a model without transformer layers: its class token never saw the image."""
    logits = np.asarray(_small_vit(transformer_layers=0)(images, training=False))
    hint = (
        "The head must read the class token alone, not a patch or the mean of all tokens. Does it read the "
        "token where PatchEncoder put it? And is there one transformerBlock for each of transformer_layers?"
    )
    what = "logits of different images without transformer layers"
    _expect_close(what, logits, np.repeat(logits[:1], len(images), axis=0), hint)
