# Text that runs behind the wall after `parts.py`: what the two layers for patches and the whole model do.


def look_at_patch_extractor():
    looks, make = Looks(), utilities.PatchExtractor
    looks["defaults"] = defaults(make.__init__)
    for name, shape, size in (
        ("three channels", (2, 8, 8, 3), 4),
        ("one channel", (2, 9, 9, 1), 3),
        ("four", (3, 6, 6, 4), 2),
    ):
        look_at_model(looks, name, lambda size=size: make(size), drawn(*shape), rates=False)
    looks.at("by default", lambda: make()(drawn(1, 32, 32, 3)))
    looks.at("one patch", lambda: make(4)(drawn(2, 4, 4, 3)))

    def in_a_model():
        inputs = keras.Input((8, 8, 3))
        return keras.Model(inputs, make(4)(inputs))(drawn(5, 8, 8, 3))

    looks.at("in a model", in_a_model)
    looks.at("samples", lambda: samples(make(4), drawn(2, 8, 8, 3), times=64))
    looks.at("whole numbers", lambda: make(4)(tf.constant(np.arange(192).reshape(1, 8, 8, 3).astype("uint8"))))
    looks.at("configuration", lambda: make(4).get_config().get("patch_size"))
    return looks


def look_at_patch_encoder(rolled=False):
    looks, make = Looks(), utilities.PatchEncoder
    looks["defaults"] = defaults(make.__init__)
    look_at_model(looks, "six patches", lambda: make(6, 4), drawn(2, 6, 5), rates=False)
    if QUICK:
        return looks
    looks.at("samples", lambda: samples(make(6, 4), drawn(2, 6, 5), times=64))
    look_at_model(looks, "one patch", lambda: make(1, 3), drawn(2, 1, 7), rates=False)
    looks.at("by default", lambda: shapes_of(built(make(), drawn(1, 4, 3))))

    def in_a_model():
        inputs = keras.Input((6, 5))
        return keras.Model(inputs, make(6, 4)(inputs))

    def of_other_batches():
        model = in_a_model()
        set_weights(model)
        return model(drawn(1, 6, 5)), model(drawn(5, 6, 5))

    looks.at("in a model", of_other_batches)
    looks.at("saved and loaded", lambda: saved_and_loaded(in_a_model, drawn(2, 6, 5)))
    looks.at("initial values", lambda: initial_values(in_a_model))
    return looks


def built(layer, *inputs):
    layer(*inputs)
    return layer


def encoded_in_any_order():
    """Return the tokens of a batch, each by itself, as seen where every position is the same: their order is free."""
    layer = utilities.PatchEncoder(6, 4)
    x = drawn(2, 6, 5)
    layer(x)
    set_weights(layer)
    (table,) = [variable for variable in layer.weights if tuple(variable.shape) == (7, 4)]
    looks = Looks()
    table.assign(np.zeros((7, 4), "float32"))
    tokens = np.asarray(layer(x))
    looks["tokens"] = [in_one_order(image) for image in tokens]
    table.assign(drawn(7, 4, seed="rows"))
    looks["positions"] = [in_one_order(image) for image in np.asarray(layer(x)) - tokens]
    is_class = (np.abs(tokens[0] - tokens[1]) < 1e-3).all(axis=-1)
    looks["class tokens"] = int(is_class.sum())
    looks["at an end"] = bool(is_class[0] or is_class[-1])
    looks["patches in order"] = tokens[:, ~is_class]
    return looks


SMALL = {
    "input_shape": (6, 6, 2), "num_classes": 3, "patch_size": 3, "embedding_proj_dim": 4, "num_heads": 2,
    "msa_proj_dim": 4, "transformer_layers": 2, "msa_dropout_rate": 0.2, "mlp_classification_head_units": [5, 6],
    "mlp_classification_head_dropout_rate": 0.4,
}  # fmt: skip
OTHER = {
    **SMALL, "input_shape": (8, 8, 1), "num_classes": 4, "patch_size": 4, "num_heads": 3, "transformer_layers": 1,
    "mlp_classification_head_units": [7],
}  # fmt: skip


def right_vit(hidden, last, dropouts):
    """Return a maker of Vision Transformers from the submission's parts, with such a head."""
    original = utilities.create_vit_classifier

    def make(**sizes):
        inputs = keras.Input(sizes["input_shape"])
        augmentation = sizes.get("data_augmentation")
        images = inputs if augmentation is None else augmentation(inputs)
        patches = utilities.PatchExtractor(sizes["patch_size"])(images)
        encoder = utilities.PatchEncoder(patches.shape[1], sizes["embedding_proj_dim"])
        tokens, units = encoder(patches), [2 * sizes["msa_proj_dim"], sizes["msa_proj_dim"]]
        two = np.asarray(encoder(drawn(2, *patches.shape[1:])))
        place = 0 if np.allclose(two[0, 0], two[1, 0], atol=1e-5) else -1
        for _ in range(sizes["transformer_layers"]):
            tokens = utilities.transformerBlock(
                tokens, sizes["num_heads"], sizes["msa_proj_dim"], units, sizes["msa_dropout_rate"]
            )
        head = right_mlp(hidden, last, dropouts)
        features = head(
            tokens[:, place], sizes["mlp_classification_head_units"], sizes["mlp_classification_head_dropout_rate"]
        )
        return keras.Model(inputs, keras.layers.Dense(sizes["num_classes"])(features))

    make.__signature__ = inspect.signature(original)
    return make


def look_at_vit_model(make=None):
    looks, make = Looks(), make or utilities.create_vit_classifier
    looks["defaults"] = defaults(make)
    for name, sizes in (("other sizes", OTHER), ("small", SMALL)):
        images = drawn(2, *sizes["input_shape"])
        look_at_model(looks, name, lambda sizes=sizes: make(**sizes), images)
        if QUICK:
            return looks
    headed = {**SMALL, "transformer_layers": 0}
    looks.at("head alone: samples", lambda: samples(set_before(make(**headed)), drawn(2, 6, 6, 2)))
    without = {**SMALL, "msa_dropout_rate": 0.0, "mlp_classification_head_dropout_rate": 0.0}
    looks.at("without dropout", lambda: set_and_called(make(**without), drawn(2, 6, 6, 2), training=True))
    looks.at(
        "augmented",
        lambda: set_and_called(make(**SMALL, data_augmentation=keras.layers.Rescaling(2.0)), drawn(2, 6, 6, 2)),
    )
    looks.at("initial values", lambda: initial_values(lambda: make(**OTHER)))
    return looks


def set_before(model):
    set_weights(model)
    return model


def set_and_called(model, *inputs, **phase):
    set_weights(model)
    return model(*inputs, **phase)
