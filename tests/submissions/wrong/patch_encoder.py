"""Wrong submissions of `PatchEncoder`."""

from ..edits import Edit

_USERS = ("vit_model",)
"""The tasks that build on this one."""

EDITS: tuple[Edit, ...] = (
    Edit(
        slug="encoder-no-class-token",
        base="by_definition",
        replace=(
            ("        x = tf.concat([token, x], axis=1)  # (B, N+1, D)\n", ""),
            ("tf.range(self.num_patches + 1)", "tf.range(self.num_patches)"),
        ),
        task="patch_encoder",
        misconception="no_class_token",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-class-token-per-sample",
        base="wide_dense",
        replace=(
            (
                "tf.broadcast_to(self.cls_token, tf.shape(x[:, :1, :]))",
                "tf.random.normal(tf.shape(x[:, :1, :]))",
            ),
        ),
        task="patch_encoder",
        misconception="class_token_per_sample",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-class-token-from-patches",
        base="einsum",
        replace=(
            (
                'cls = tf.einsum("b,d->bd", tf.ones_like(patches[:, 0, 0]), self.cls)[:, tf.newaxis, :]',
                "cls = tf.reduce_mean(embedded, axis=1, keepdims=True)",
            ),
        ),
        task="patch_encoder",
        misconception="class_token_per_sample",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-class-token-not-trainable-by-definition",
        base="by_definition",
        replace=(('initializer="random_normal", trainable=True', 'initializer="random_normal", trainable=False'),),
        task="patch_encoder",
        misconception="class_token_not_trainable",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-class-token-not-trainable-wide-dense",
        base="wide_dense",
        replace=(
            (
                'self.cls_token = tf.Variable(token, trainable=True, name="cls_token")',
                "self.cls_token = token",
            ),
        ),
        task="patch_encoder",
        misconception="class_token_not_trainable",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-class-token-zeros",
        base="dense_loops",
        replace=(
            (
                'self.add_weight(name="token", shape=(1, self.width), initializer="random_uniform")',
                "tf.zeros((1, self.width))",
            ),
        ),
        task="patch_encoder",
        misconception="class_token_not_trainable",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-class-token-without-position-by-definition",
        base="by_definition",
        replace=(
            ("        x = tf.concat([token, x], axis=1)  # (B, N+1, D)\n", ""),
            ("tf.range(self.num_patches + 1)", "tf.range(self.num_patches)"),
            (
                "return x + self.position_embedding(positions)",
                "return tf.concat([token, x + self.position_embedding(positions)], axis=1)",
            ),
        ),
        task="patch_encoder",
        misconception="class_token_without_position",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-class-token-without-position-dense-loops",
        base="dense_loops",
        replace=(
            ("self.tokens = shape[1] + 1", "self.tokens = shape[1]"),
            ("        encoded = tf.concat([encoded, token], axis=1)  # class token at the end!\n", ""),
            (
                "return encoded + self.positions(indices)",
                "return tf.concat([encoded + self.positions(indices), token], axis=1)",
            ),
        ),
        task="patch_encoder",
        misconception="class_token_without_position",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-no-positions-dense-loops",
        base="dense_loops",
        replace=(("return encoded + self.positions(indices)", "return encoded"),),
        task="patch_encoder",
        misconception="no_positions",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-same-position-for-all",
        base="wide_dense",
        replace=(
            (
                "self.positions = tf.range(num_patches + 1)",
                "self.positions = tf.zeros(num_patches + 1, tf.int32)",
            ),
        ),
        task="patch_encoder",
        misconception="same_position_for_all",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-position-table-too-short",
        base="einsum",
        replace=(("Embedding(self.num_patches + 1, d)", "Embedding(self.num_patches, d)"),),
        task="patch_encoder",
        misconception="position_table_too_short",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-positions-not-trainable",
        base="by_definition",
        replace=(("output_dim=projection_dim)", "output_dim=projection_dim, trainable=False)"),),
        task="patch_encoder",
        misconception="positions_not_trainable",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-position-numbers-added",
        base="einsum",
        replace=(
            (
                "self.pos(tf.range(start=0, limit=self.num_patches + 1, delta=1))",
                "tf.cast(tf.range(self.num_patches + 1), tokens.dtype)[:, tf.newaxis]",
            ),
        ),
        task="patch_encoder",
        misconception="position_numbers_added",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-projection-without-bias",
        base="by_definition",
        replace=(("layers.Dense(projection_dim)", "layers.Dense(projection_dim, use_bias=False)"),),
        task="patch_encoder",
        misconception="projection_without_bias",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-projection-with-relu",
        base="wide_dense",
        replace=(("layers.Dense(units=projection_dim)", 'layers.Dense(units=projection_dim, activation="relu")'),),
        task="patch_encoder",
        misconception="projection_not_linear",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-width-hard-coded",
        base="dense_loops",
        replace=(("self.width = width\n        self.linear", "self.width = width = 768\n        self.linear"),),
        task="patch_encoder",
        misconception="width_hard_coded",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-tf-keras-dense",
        base="wide_dense",
        replace=(("layers.Dense(units=projection_dim)", "tf.keras.layers.Dense(units=projection_dim)"),),
        task="patch_encoder",
        misconception="other_keras",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-tf-keras-embedding",
        base="by_definition",
        replace=(
            (
                "self.position_embedding = layers.Embedding(",
                "self.position_embedding = tf.keras.layers.Embedding(",
            ),
        ),
        task="patch_encoder",
        misconception="other_keras",
        suffers=_USERS,
    ),
    Edit(
        slug="encoder-returns-zeros",
        base="einsum",
        replace=(("return tokens + self.pos(", "return 0.0 * tokens + 0.0 * self.pos("),),
        task="patch_encoder",
        misconception="returns_zeros",
        suffers=_USERS,
    ),
)
