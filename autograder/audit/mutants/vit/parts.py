# Text that runs behind the wall after `looking.py`: what attention, mlp and block do.
# Each `look_at_...` returns it by aspect.


def look_at_attention():
    looks, attend = Looks(), utilities.scaled_dot_product_attention
    sizes = {"3": (2,), "4": (2, 3)} if QUICK else {"2": (), "3": (2,), "4": (2, 3), "5": (2, 1, 3)}
    for rank, leading in sizes.items():
        q, k, v = drawn(*leading, 4, 6), drawn(*leading, 5, 6, seed="k"), drawn(*leading, 5, 3, seed="v")
        looks.at(f"rank {rank}", lambda q=q, k=k, v=v: attend(tf.constant(q), tf.constant(k), tf.constant(v)))
    if QUICK:
        return looks
    q, k, v = drawn(3, 4, 6, seed="q"), drawn(3, 5, 6, seed="k"), drawn(3, 5, 3, seed="v")
    looks.at("equal sizes", lambda: attend(*(tf.constant(drawn(2, 4, 4, seed=name)) for name in "qkv")))
    looks.at("one query", lambda: attend(tf.constant(q[:, :1]), tf.constant(k), tf.constant(v)))
    looks.at("large", lambda: attend(tf.constant(100 * q), tf.constant(100 * k), tf.constant(v)))
    looks.at("float64", lambda: attend(*(tf.constant(array.astype("float64")) for array in (q, k, v))))
    layer = FunctionLayer(attend)
    looks.at("gradients", lambda: gradients(layer, q, k, v))
    looks.at("gradients of weights", lambda: gradients(layer, q, k, v, of=lambda pair: pair[1]))
    looks.at("in training", lambda: layer(q, k, v, training=True))
    looks.at("samples", lambda: samples(layer, q, k, v, times=64))

    @tf.function(input_signature=[tf.TensorSpec((None, None, width)) for width in (6, 6, 3)])
    def compiled(q, k, v):
        return attend(q, k, v)

    looks.at("sizes unknown before", lambda: compiled(q, k, v))
    return looks


def mean_over_heads(answer):
    """Return output and weights; the lab leaves it free whether the weights are those of each head or their mean."""
    output, weights = answer
    return [type(answer).__name__, output, tf.reduce_mean(weights, axis=1) if len(weights.shape) == 4 else weights]


def look_at_multi_head_attention():
    looks, make = Looks(), utilities.MultiHeadAttention
    inputs = drawn(2, 3, 4), drawn(2, 6, 4, seed="k"), drawn(2, 6, 7, seed="v")
    looks["defaults"] = defaults(make.__init__)
    look_at_model(looks, "heads", lambda: make(3, 5, 4, 7), *inputs, rates=False)
    if QUICK:
        return looks
    looks.at("flagged", lambda: mean_over_heads(attention_of(inputs, True)(*inputs)))
    looks.at("flagged: gradients", lambda: gradients(attention_of(inputs, True), *inputs))
    equal = [drawn(2, 4, 4, seed=name) for name in "QKV"]
    look_at_model(looks, "equal sizes", lambda: make(2, 4, 4, 4), *equal, rates=False)
    look_at_model(looks, "one head", lambda: make(1, 5, 4, 7), *inputs, rates=False)
    looks.at("other batches", lambda: in_other_batches(attention_of(inputs), inputs))

    def modelled():
        symbols = [keras.Input((None, array.shape[-1])) for array in inputs]
        return keras.Model(symbols, make(3, 5, 4, 7)(*symbols))

    def in_a_model():
        model = modelled()
        set_weights(model)
        return model(list(inputs))

    looks.at("in a model", in_a_model)
    looks.at("saved and loaded", lambda: saved_and_loaded(modelled, *inputs))
    looks.at("initial values", lambda: initial_values(modelled))
    return looks


def attention_of(inputs, *flags):
    """Return a built layer with three heads of five, its weights set."""
    layer = utilities.MultiHeadAttention(3, 5, 4, 7, *flags)
    layer(*inputs)
    set_weights(layer)
    return layer


def in_other_batches(layer, inputs):
    """Return outputs for more samples, for one, and for fewer tokens than the layer was built with."""
    return (
        layer(*[np.concatenate([array, array, array]) for array in inputs]),
        layer(*[array[:1] for array in inputs]),
        layer(inputs[0][:, :2], inputs[1][:, :4], inputs[2][:, :4]),
    )


def output_columns():
    """Return what each row of WO reads, sorted: in which order the heads are joined is free."""
    inputs = drawn(2, 3, 4), drawn(2, 6, 4, seed="k"), drawn(2, 6, 7, seed="v")
    layer = attention_of(inputs)
    (last,) = [variable for variable in layer.weights if np.prod(variable.shape) == 3 * 5 * 5]
    rows = []
    for place in range(75):
        one = np.zeros(75, "float32")
        one[place] = 1.0
        last.assign(one.reshape(last.shape))
        rows.append(np.asarray(layer(*inputs)).ravel())
    looks = Looks()
    looks["rows of WO"] = in_one_order(rows)
    return looks


def heads_in_any_order():
    """Return the outputs with the heads of one projection in every order: in which order they stand is free."""
    inputs = drawn(2, 3, 4), drawn(2, 6, 4, seed="k"), drawn(2, 6, 7, seed="v")
    layer = attention_of(inputs)
    values = layer.get_weights()
    looks = Looks()
    for place, value in enumerate(values):
        for name, shape, axis in (("blocks", (-1, 3, 5), 1), ("interleaved", (-1, 5, 3), 2), ("first", (3, -1), 0)):
            if value.size in (60, 105):
                parts = value.reshape(shape)
                orders = [
                    np.take(parts, order, axis).reshape(value.shape) for order in itertools.permutations(range(3))
                ]
                looks[f"{name} of {place}"] = outputs_with(layer, inputs, [{place: other} for other in orders])
        if len(values) >= 9 and place % 3 == 0 and place + 3 <= len(values):
            orders = itertools.permutations(range(place, place + 3))
            changed = [{place + number: values[other] for number, other in enumerate(order)} for order in orders]
            looks.at(f"variables from {place}", lambda changed=changed: outputs_with(layer, inputs, changed))
    return looks


def outputs_with(layer, inputs, choices):
    """Return the outputs with some variables changed, for each choice, sorted; then undo it."""
    before, rows = layer.get_weights(), []
    for choice in choices:
        layer.set_weights([choice.get(place, value) for place, value in enumerate(before)])
        rows.append(np.asarray(layer(*inputs)).ravel())
    layer.set_weights(before)
    return in_one_order(rows)


def right_mlp(hidden, last, dropouts):
    """Return an mlp with these non-linearities, after the hidden layers and after the last, and so many dropouts last."""

    def mlp(x, hidden_units, dropout_rate):
        for number, units in enumerate(hidden_units, 1):
            is_last = number == len(hidden_units)
            x = keras.layers.Dense(units, activation=last if is_last else hidden)(x)
            for _ in range(dropouts if is_last else 1):
                x = keras.layers.Dropout(dropout_rate)(x)
        return x

    return mlp


def look_at_mlp(mlp=None):
    looks, mlp = Looks(), mlp or utilities.mlp
    looks["defaults"] = defaults(mlp)
    look_at_model(looks, "three layers", model_on((3, 5), lambda x: mlp(x, [4, 3, 2], 0.3)), drawn(2, 3, 5))
    if QUICK:
        return looks
    look_at_model(looks, "two layers", model_on((3, 5), lambda x: mlp(x, (4, 5), 0.3)), drawn(2, 3, 5))
    look_at_model(looks, "one layer", model_on((3, 5), lambda x: mlp(x, [4], 0.3)), drawn(2, 3, 5))
    look_at_model(looks, "vectors", model_on((5,), lambda x: mlp(x, [5, 3], 0.0)), drawn(2, 5), rates=False)
    look_at_model(
        looks, "more axes", model_on((2, 3, 5), lambda x: mlp(x, [5, 3], 0.0)), drawn(2, 2, 3, 5), rates=False
    )
    look_at_model(
        looks, "tokens unknown before", model_on((None, 5), lambda x: mlp(x, [4, 3], 0.0)), drawn(2, 3, 5), rates=False
    )
    made = model_on((3, 5), lambda x: mlp(x, [4, 3], 0.1))
    looks.at("saved and loaded", lambda: saved_and_loaded(made, drawn(2, 3, 5)))
    looks.at("initial values", lambda: initial_values(made))
    return looks


def dropping_twice(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    """A block that drops what the mlp returns, whether or not that ends with a dropout."""
    attended = utilities.MultiHeadAttention(num_heads, projection_dim, x.shape[-1], x.shape[-1])(x, x, x)
    x = keras.layers.LayerNormalization()(x + keras.layers.Dropout(dropout_rate)(attended))
    transformed = keras.layers.Dropout(dropout_rate)(utilities.mlp(x, transformer_units, dropout_rate))
    return keras.layers.LayerNormalization()(x + transformed)


def look_at_transformer_block(block=None):
    looks, block = Looks(), block or utilities.transformerBlock
    looks["defaults"] = defaults(block)
    x = drawn(2, 4, 6)
    look_at_model(looks, "block", model_on((4, 6), lambda x: block(x, 2, 6, [5, 6], 0.3)), x)
    if QUICK:
        return looks
    look_at_model(looks, "without dropout", model_on((4, 6), lambda x: block(x, 3, 6, [12, 6], 0.0)), x, rates=False)
    look_at_model(looks, "by default", model_on((4, 6), lambda x: block(x, 2, 6, [5, 6])), x)
    twice = model_on((4, 6), lambda x: block(block(x, 2, 6, [5, 6], 0.0), 2, 6, [5, 6], 0.0))
    look_at_model(looks, "twice", twice, x, rates=False)
    made = model_on((4, 6), lambda x: block(x, 2, 6, [5, 6], 0.1))
    looks.at("saved and loaded", lambda: saved_and_loaded(made, x))
    looks.at("initial values", lambda: initial_values(made))
    return looks
