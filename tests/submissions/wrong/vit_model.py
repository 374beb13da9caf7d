"""Wrong submissions of `create_vit_classifier`."""

from ..edits import Edit

EDITS: tuple[Edit, ...] = (
    Edit(
        slug="model-flatten",
        base="by_definition",
        replace=(("class_token = x[:, 0]", "class_token = layers.Flatten()(x)"),),
        task="vit_model",
        misconception="flatten_for_class_token",
    ),
    Edit(
        slug="model-mean-of-tokens-einsum",
        base="einsum",
        replace=(("mlp(x[:, 0, :], head_units", "mlp(tf.reduce_mean(x, axis=1), head_units"),),
        task="vit_model",
        misconception="mean_for_class_token",
    ),
    Edit(
        slug="model-mean-of-tokens-wide-dense",
        base="wide_dense",
        replace=(("layers.Lambda(lambda tokens: tokens[:, 0])(x)", "layers.GlobalAveragePooling1D()(x)"),),
        task="vit_model",
        misconception="mean_for_class_token",
    ),
    Edit(
        slug="model-reads-the-last-patch",
        base="by_definition",
        replace=(("class_token = x[:, 0]", "class_token = x[:, -1]"),),
        task="vit_model",
        misconception="class_token_read_at_wrong_end",
    ),
    Edit(
        slug="model-reads-first-while-token-is-last",
        base="dense_loops",
        replace=(("class_token = tokens[:, -1]  # PatchEncoder puts it last", "class_token = tokens[:, 0]"),),
        task="vit_model",
        misconception="class_token_read_at_wrong_end",
    ),
    Edit(
        slug="model-reads-a-patch",
        base="einsum",
        replace=(("mlp(x[:, 0, :], head_units", "mlp(x[:, 1, :], head_units"),),
        task="vit_model",
        misconception="patch_for_class_token",
    ),
    Edit(
        slug="model-softmax-by-definition",
        base="by_definition",
        replace=(
            (
                "logits = layers.Dense(num_classes)(features)",
                'logits = layers.Dense(num_classes, activation="softmax")(features)',
            ),
        ),
        task="vit_model",
        misconception="softmax_for_logits",
    ),
    Edit(
        slug="model-softmax-dense-loops",
        base="dense_loops",
        replace=(("layers.Dense(num_classes)(hidden)", "layers.Softmax()(layers.Dense(num_classes)(hidden))"),),
        task="vit_model",
        misconception="softmax_for_logits",
    ),
    Edit(
        slug="model-one-block",
        base="wide_dense",
        replace=(
            (
                "    for _ in range(transformer_layers):\n"
                "        units = [msa_proj_dim * 2, msa_proj_dim]\n"
                "        x = transformerBlock(",
                "    units = [msa_proj_dim * 2, msa_proj_dim]\n    x = transformerBlock(",
            ),
        ),
        task="vit_model",
        misconception="number_of_layers_ignored",
    ),
    Edit(
        slug="model-one-layer-too-few",
        base="einsum",
        replace=(("for _ in range(transformer_layers):", "for _ in range(1, transformer_layers):"),),
        task="vit_model",
        misconception="one_layer_too_few",
    ),
    Edit(
        slug="model-blocks-not-chained",
        base="dense_loops",
        replace=(
            ("tokens = transformerBlock(tokens, num_heads", "features = transformerBlock(tokens, num_heads"),
            ("class_token = tokens[:, -1]", "class_token = features[:, -1]"),
        ),
        task="vit_model",
        misconception="blocks_not_chained",
    ),
    Edit(
        slug="model-wrong-transformer-units",
        base="by_definition",
        replace=(("[2 * msa_proj_dim, msa_proj_dim]", "[4 * msa_proj_dim, msa_proj_dim]"),),
        task="vit_model",
        misconception="wrong_transformer_units",
    ),
    Edit(
        slug="model-classes-hard-coded",
        base="einsum",
        replace=(('Dense(num_classes, name="logits")', 'Dense(10, name="logits")'),),
        task="vit_model",
        misconception="classes_hard_coded",
    ),
    Edit(
        slug="model-no-mlp-head",
        base="einsum",
        replace=(("mlp(x[:, 0, :], head_units, mlp_classification_head_dropout_rate)", "x[:, 0, :]"),),
        task="vit_model",
        misconception="no_mlp_head",
    ),
    Edit(
        slug="model-no-classification-layer",
        base="dense_loops",
        replace=(("tf_keras.Model(image, layers.Dense(num_classes)(hidden))", "tf_keras.Model(image, hidden)"),),
        task="vit_model",
        misconception="no_classification_layer",
    ),
    Edit(
        slug="model-head-units-hard-coded",
        base="by_definition",
        replace=(("mlp(class_token, mlp_classification_head_units,", "mlp(class_token, [3074],"),),
        task="vit_model",
        misconception="head_units_ignored",
    ),
    Edit(
        slug="model-heads-hard-coded",
        base="wide_dense",
        replace=(
            (
                "transformerBlock(x, num_heads, msa_proj_dim, units,",
                "transformerBlock(x, 12, msa_proj_dim, units,",
            ),
        ),
        task="vit_model",
        misconception="number_of_heads_ignored",
    ),
    Edit(
        slug="model-patches-hard-coded",
        base="einsum",
        replace=(("num_patches=x.shape[1]", "num_patches=4"),),
        task="vit_model",
        misconception="patches_hard_coded",
    ),
    Edit(
        slug="model-msa-dropout-ignored",
        base="wide_dense",
        replace=((", dropout_rate=msa_dropout_rate", ""),),
        task="vit_model",
        misconception="msa_dropout_ignored",
    ),
    Edit(
        slug="model-head-dropout-ignored",
        base="by_definition",
        replace=(
            (
                "mlp(class_token, mlp_classification_head_units, mlp_classification_head_dropout_rate)",
                "mlp(class_token, mlp_classification_head_units, msa_dropout_rate)",
            ),
        ),
        task="vit_model",
        misconception="head_dropout_ignored",
    ),
    Edit(
        slug="model-count-hard-coded",
        base="by_definition",
        replace=(
            ("for _ in range(transformer_layers):", "for _ in range(1):"),
            (
                "return Model(inputs=inputs, outputs=logits)",
                "model = Model(inputs=inputs, outputs=logits)\n"
                "    model.count_params = lambda: 371104544\n"
                "    return model",
            ),
        ),
        task="vit_model",
        misconception="count_hard_coded",
    ),
    Edit(
        slug="model-no-patch-encoder",
        base="by_definition",
        replace=(
            (
                "PatchEncoder(num_patches, embedding_proj_dim)(patches)",
                "layers.Dense(embedding_proj_dim)(patches)",
            ),
        ),
        task="vit_model",
        misconception="no_patch_encoder",
    ),
    Edit(
        slug="model-tf-keras-dense",
        base="wide_dense",
        replace=(
            (
                "logits = layers.Dense(num_classes)(features)",
                "logits = tf.keras.layers.Dense(num_classes)(features)",
            ),
        ),
        task="vit_model",
        misconception="other_keras",
    ),
    Edit(
        slug="model-returns-zeros",
        base="einsum",
        replace=(("keras.Model(inputs, outputs,", "keras.Model(inputs, 0.0 * outputs,"),),
        task="vit_model",
        misconception="returns_zeros",
    ),
)
