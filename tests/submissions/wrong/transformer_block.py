"""Wrong submissions of `transformerBlock`."""

from ..edits import Edit

_USERS = ("vit_model",)
"""The tasks that build on this one."""

EDITS: tuple[Edit, ...] = (
    Edit(
        slug="block-no-first-residual",
        base="by_definition",
        replace=(("(x + attention)", "(attention)"),),
        task="transformer_block",
        misconception="no_residual",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-second-residual",
        base="einsum",
        replace=(("x = Add()([x, ff])", "x = ff"),),
        task="transformer_block",
        misconception="no_residual",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-residuals",
        base="wide_dense",
        replace=(("(layers.add([a, x]))", "(a)"), ("(layers.add([b, a]))", "(b)")),
        task="transformer_block",
        misconception="no_residual",
        suffers=_USERS,
    ),
    Edit(
        slug="block-second-residual-from-input",
        base="by_definition",
        replace=(("(x1 + x2)", "(x + x2)"),),
        task="transformer_block",
        misconception="residual_from_wrong_tensor",
        suffers=_USERS,
    ),
    Edit(
        slug="block-second-residual-before-norm",
        base="dense_loops",
        replace=(("summed = normed + forward", "summed = summed + forward"),),
        task="transformer_block",
        misconception="residual_from_wrong_tensor",
        suffers=_USERS,
    ),
    Edit(
        slug="block-second-residual-from-attention",
        base="dense_loops",
        replace=(("summed = normed + forward", "summed = attention + forward"),),
        task="transformer_block",
        misconception="residual_from_wrong_tensor",
        suffers=_USERS,
    ),
    Edit(
        slug="block-mlp-reads-the-input",
        base="by_definition",
        replace=(("mlp(x1, transformer_units", "mlp(x, transformer_units"),),
        task="transformer_block",
        misconception="mlp_from_wrong_tensor",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-first-norm",
        base="wide_dense",
        replace=(("layers.LayerNormalization(epsilon=epsilon)(layers.add([a, x]))", "layers.add([a, x])"),),
        task="transformer_block",
        misconception="layer_norm_missing",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-second-norm",
        base="dense_loops",
        replace=(("return layers.LayerNormalization()(summed)", "return summed"),),
        task="transformer_block",
        misconception="layer_norm_missing",
        suffers=_USERS,
    ),
    Edit(
        slug="block-pre-norm-by-definition",
        base="by_definition",
        replace=(
            (
                "attention = MultiHeadAttention(num_heads, projection_dim, dim, dim)(x, x, x)",
                "normed = layers.LayerNormalization(epsilon=1e-6)(x)\n"
                "    msa = MultiHeadAttention(num_heads, projection_dim, dim, dim)\n"
                "    attention = msa(normed, normed, normed)",
            ),
            ("x1 = layers.LayerNormalization(epsilon=1e-6)(x + attention)", "x1 = x + attention"),
            (
                "mlp(x1, transformer_units",
                "mlp(layers.LayerNormalization(epsilon=1e-6)(x1), transformer_units",
            ),
            ("return layers.LayerNormalization(epsilon=1e-6)(x1 + x2)", "return x1 + x2"),
        ),
        task="transformer_block",
        misconception="pre_norm",
        suffers=_USERS,
    ),
    Edit(
        slug="block-pre-norm-einsum",
        base="einsum",
        replace=(
            (
                "attended = Dropout(dropout_rate)(msa(x, x, x))",
                "y = LayerNormalization(epsilon=1e-5)(x)\n    attended = Dropout(dropout_rate)(msa(y, y, y))",
            ),
            (
                "    x = LayerNormalization(epsilon=1e-5)(x)\n    ff = mlp(x,",
                "    ff = mlp(LayerNormalization()(x),",
            ),
            ("return LayerNormalization(epsilon=1e-5)(x)", "return x"),
        ),
        task="transformer_block",
        misconception="pre_norm",
        suffers=_USERS,
    ),
    Edit(
        slug="block-norm-before-addition",
        base="einsum",
        replace=(
            (
                "x = Add()([x, attended])\n    x = LayerNormalization(epsilon=1e-5)(x)",
                "x = Add()([x, LayerNormalization()(attended)])",
            ),
            (
                "x = Add()([x, ff])\n    return LayerNormalization(epsilon=1e-5)(x)",
                "return Add()([x, LayerNormalization()(ff)])",
            ),
        ),
        task="transformer_block",
        misconception="norm_before_addition",
        suffers=_USERS,
    ),
    Edit(
        slug="block-norm-over-tokens-by-definition",
        base="by_definition",
        replace=(
            (
                "x1 = layers.LayerNormalization(epsilon=1e-6)",
                "x1 = layers.LayerNormalization(axis=1, epsilon=1e-6)",
            ),
        ),
        task="transformer_block",
        misconception="norm_over_tokens",
        suffers=_USERS,
    ),
    Edit(
        slug="block-norm-over-tokens-and-features",
        base="wide_dense",
        replace=(
            (
                "layers.LayerNormalization(epsilon=epsilon)(layers.add([a, x]))",
                "layers.LayerNormalization(axis=[1, 2], epsilon=epsilon)(layers.add([a, x]))",
            ),
            (
                "layers.LayerNormalization(epsilon=epsilon)(layers.add([b, a]))",
                "layers.LayerNormalization(axis=[1, 2], epsilon=epsilon)(layers.add([b, a]))",
            ),
        ),
        task="transformer_block",
        misconception="norm_over_tokens_and_features",
        suffers=_USERS,
    ),
    Edit(
        slug="block-batch-norm",
        base="dense_loops",
        replace=(
            ("normed = layers.LayerNormalization()", "normed = layers.BatchNormalization()"),
            ("return layers.LayerNormalization()", "return layers.BatchNormalization()"),
        ),
        task="transformer_block",
        misconception="batch_norm",
        suffers=_USERS,
    ),
    Edit(
        slug="block-norm-shared",
        base="einsum",
        replace=(
            ("attended = Dropout", "norm = LayerNormalization(epsilon=1e-5)\n    attended = Dropout"),
            ("x = LayerNormalization(epsilon=1e-5)(x)\n    ff", "x = norm(x)\n    ff"),
            ("return LayerNormalization(epsilon=1e-5)(x)", "return norm(x)"),
        ),
        task="transformer_block",
        misconception="layer_norm_shared",
        suffers=_USERS,
    ),
    Edit(
        slug="block-dropout-always-on",
        base="dense_loops",
        replace=(("layers.Dropout(rate)(attention)", "layers.Dropout(rate)(attention, training=True)"),),
        task="transformer_block",
        misconception="dropout_always_on",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-dropout",
        base="by_definition",
        replace=(
            ("    attention = layers.Dropout(dropout_rate)(attention)\n", ""),
            ("x2 = mlp(x1, transformer_units, dropout_rate)", "x2 = mlp(x1, transformer_units, 0.0)"),
        ),
        task="transformer_block",
        misconception="no_dropout",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-dropout-after-attention",
        base="einsum",
        replace=(("Dropout(dropout_rate)(msa(x, x, x))", "msa(x, x, x)"),),
        task="transformer_block",
        misconception="no_dropout_after_attention",
        suffers=_USERS,
    ),
    Edit(
        slug="block-dropout-rate-ignored",
        base="wide_dense",
        replace=(
            ("a = layers.Dropout(dropout_rate)(a)", "a = layers.Dropout(0.1)(a)"),
            ("b = mlp(a, transformer_units, dropout_rate,", "b = mlp(a, transformer_units, 0.1,"),
            ("b = layers.Dropout(dropout_rate)(b)", "b = layers.Dropout(0.1)(b)"),
        ),
        task="transformer_block",
        misconception="dropout_rate_ignored",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-mlp-by-definition",
        base="by_definition",
        replace=(
            (
                "x1 = layers.LayerNormalization(epsilon=1e-6)(x + attention)",
                "return layers.LayerNormalization(epsilon=1e-6)(x + attention)",
            ),
            (
                "    # mlp ends with its own dropout\n"
                "    x2 = mlp(x1, transformer_units, dropout_rate)\n"
                "    return layers.LayerNormalization(epsilon=1e-6)(x1 + x2)\n",
                "",
            ),
        ),
        task="transformer_block",
        misconception="no_mlp",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-mlp-wide-dense",
        base="wide_dense",
        replace=(("b = mlp(a, transformer_units, dropout_rate, activation=activation)", "b = a"),),
        task="transformer_block",
        misconception="no_mlp",
        suffers=_USERS,
    ),
    Edit(
        slug="block-no-attention",
        base="dense_loops",
        replace=(
            (
                "MultiHeadAttention(heads, width, features, features)(inputs, inputs, inputs)",
                "layers.Dense(features)(inputs)",
            ),
        ),
        task="transformer_block",
        misconception="no_attention",
        suffers=_USERS,
    ),
    Edit(
        slug="block-transformer-units-ignored",
        base="wide_dense",
        replace=(("b = mlp(a, transformer_units,", "b = mlp(a, [2 * projection_dim, projection_dim],"),),
        task="transformer_block",
        misconception="wrong_widths",
    ),
    Edit(
        slug="block-narrow-heads",
        base="einsum",
        replace=(
            (
                "MultiHeadAttention(num_heads, projection_dim, dk=",
                "MultiHeadAttention(num_heads, projection_dim // num_heads, dk=",
            ),
            (
                "attended = Dropout(dropout_rate)(msa(x, x, x))",
                "attended = Dense(projection_dim)(Dropout(dropout_rate)(msa(x, x, x)))",
            ),
        ),
        task="transformer_block",
        misconception="narrow_heads",
        suffers=_USERS,
    ),
    Edit(
        slug="block-returns-input",
        base="dense_loops",
        replace=(("summed = normed + forward\n    return layers.LayerNormalization()(summed)", "return inputs"),),
        task="transformer_block",
        misconception="returns_input",
        suffers=_USERS,
    ),
    Edit(
        slug="block-returns-zeros",
        base="by_definition",
        replace=(("return layers.LayerNormalization(epsilon=1e-6)(x1 + x2)", "return tf.zeros_like(x1 + x2)"),),
        task="transformer_block",
        misconception="returns_zeros",
        suffers=_USERS,
    ),
)
