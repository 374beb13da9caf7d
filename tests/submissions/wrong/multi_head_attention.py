"""Wrong submissions of `MultiHeadAttention`."""

from ..edits import Edit

_USERS = ("transformer_block", "vit_model")
"""The tasks that build on this one."""

EDITS: tuple[Edit, ...] = (
    Edit(
        slug="heads-not-merged-by-definition",
        base="by_definition",
        replace=(("heads = tf.transpose(heads, perm=[0, 2, 1, 3])  # (B, Nq, H, P)\n        ", ""),),
        task="multi_head_attention",
        misconception="heads_not_merged",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-not-merged-einsum",
        base="einsum",
        replace=(
            ("out = tf.reshape(self.out_kernel, (self.n_heads, self.proj_size, self.proj_size))\n", "\n"),
            (
                'output = tf.einsum("bhnp,hpo->bno", context, out)',
                "width = self.n_heads * self.proj_size\n"
                "        merged = tf.reshape(context, (tf.shape(Q)[0], tf.shape(Q)[1], width))\n"
                '        output = tf.einsum("bnp,po->bno", merged, self.out_kernel)',
            ),
        ),
        task="multi_head_attention",
        misconception="heads_not_merged",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-not-merged-wide-dense",
        base="wide_dense",
        replace=(
            (
                '(B, N, H*P)."""\n'
                "        x = tf.transpose(x, (0, 2, 1, 3))\n"
                "        return tf.reshape(x, (-1, tf.shape(x)[1],",
                '(B, N, H*P)."""\n        return tf.reshape(x, (-1, tf.shape(x)[2],',
            ),
        ),
        task="multi_head_attention",
        misconception="heads_not_merged",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-split-by-reshape",
        base="wide_dense",
        replace=(
            (
                "x = tf.reshape(x, (-1, tf.shape(x)[1], self.n_heads, self.proj_size))\n"
                "        return tf.transpose(x, (0, 2, 1, 3))",
                "return tf.reshape(x, (-1, self.n_heads, tf.shape(x)[1], self.proj_size))",
            ),
        ),
        task="multi_head_attention",
        misconception="heads_split_by_reshape",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-summed-by-definition",
        base="by_definition",
        replace=(
            ("shape=(n_heads * proj_size, proj_size)", "shape=(proj_size, proj_size)"),
            ("heads = tf.transpose(heads, perm=[0, 2, 1, 3])  # (B, Nq, H, P)\n        ", ""),
            (
                "concat = tf.reshape(heads, (tf.shape(Q)[0], tf.shape(Q)[1], self.n_heads * self.proj_size))",
                "concat = tf.reduce_sum(heads, axis=1)",
            ),
        ),
        task="multi_head_attention",
        misconception="heads_summed",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-summed-dense-loops",
        base="dense_loops",
        replace=(("tf.concat(outputs, axis=-1)", "tf.add_n(outputs)"),),
        task="multi_head_attention",
        misconception="heads_summed",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-only-the-last",
        base="dense_loops",
        replace=(("tf.concat(outputs, axis=-1)", "head"),),
        task="multi_head_attention",
        misconception="only_last_head",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-concatenated-along-tokens",
        base="dense_loops",
        replace=(("tf.concat(outputs, axis=-1)", "tf.concat(outputs, axis=1)"),),
        task="multi_head_attention",
        misconception="heads_along_tokens",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-share-one-projection",
        base="dense_loops",
        replace=(
            ("self.query_layers[i]", "self.query_layers[0]"),
            ("self.key_layers[i]", "self.key_layers[0]"),
            ("self.value_layers[i]", "self.value_layers[0]"),
        ),
        task="multi_head_attention",
        misconception="heads_share_projection",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-narrow-by-definition",
        base="by_definition",
        replace=(
            ("self.proj_size = proj_size\n", "self.proj_size = head_size = proj_size // n_heads\n"),
            ('name="WQ", shape=(n_heads, dk, proj_size)', 'name="WQ", shape=(n_heads, dk, head_size)'),
            ('name="WK", shape=(n_heads, dk, proj_size)', 'name="WK", shape=(n_heads, dk, head_size)'),
            ('name="WV", shape=(n_heads, dv, proj_size)', 'name="WV", shape=(n_heads, dv, head_size)'),
            ("shape=(n_heads * proj_size, proj_size)", "shape=(n_heads * head_size, proj_size)"),
        ),
        task="multi_head_attention",
        misconception="narrow_heads",
        suffers=_USERS,
    ),
    Edit(
        slug="heads-narrow-wide-dense",
        base="wide_dense",
        replace=(
            ("self.proj_size = proj_size\n", "self.proj_size = proj_size // n_heads\n"),
            ("width = n_heads * proj_size", "width = proj_size"),
        ),
        task="multi_head_attention",
        misconception="narrow_heads",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-values-from-keys-by-definition",
        base="by_definition",
        replace=(("tf.expand_dims(V, 1)", "tf.expand_dims(K, 1)"),),
        task="multi_head_attention",
        misconception="values_from_keys",
    ),
    Edit(
        slug="multi-head-values-from-keys-dense-loops",
        base="dense_loops",
        replace=(("self.value_layers[i](values)", "self.value_layers[i](keys)"),),
        task="multi_head_attention",
        misconception="values_from_keys",
    ),
    Edit(
        slug="multi-head-keys-from-queries",
        base="einsum",
        replace=(('"bnd,hpd->bhnp", K, self', '"bnd,hpd->bhnp", Q, self'),),
        task="multi_head_attention",
        misconception="keys_from_queries",
    ),
    Edit(
        slug="multi-head-projection-reused-for-keys",
        base="by_definition",
        replace=(("tf.expand_dims(K, 1), self.WK", "tf.expand_dims(K, 1), self.WQ"),),
        task="multi_head_attention",
        misconception="projection_reused",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-one-projection-for-all",
        base="wide_dense",
        replace=(("self.to_keys(K)", "self.to_queries(K)"), ("self.to_values(V)", "self.to_queries(V)")),
        task="multi_head_attention",
        misconception="projection_reused",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-length-of-queries-for-all",
        base="wide_dense",
        replace=(
            ("def split_heads(self, x):", "def split_heads(self, x, length):"),
            (
                "(-1, tf.shape(x)[1], self.n_heads, self.proj_size)",
                "(-1, length, self.n_heads, self.proj_size)",
            ),
            ("self.split_heads(self.to_queries(Q))", "self.split_heads(self.to_queries(Q), tf.shape(Q)[1])"),
            ("self.split_heads(self.to_keys(K))", "self.split_heads(self.to_keys(K), tf.shape(Q)[1])"),
            ("self.split_heads(self.to_values(V))", "self.split_heads(self.to_values(V), tf.shape(Q)[1])"),
        ),
        task="multi_head_attention",
        misconception="length_of_queries_for_all",
    ),
    Edit(
        slug="multi-head-weights-as-values",
        base="by_definition",
        replace=(
            (
                "heads, attention_weights = scaled_dot_product_attention(q, k, v)",
                "attention_weights, heads = scaled_dot_product_attention(q, k, v)",
            ),
            ("self.n_heads * self.proj_size))", "self.n_heads * tf.shape(K)[1]))"),
        ),
        task="multi_head_attention",
        misconception="weights_as_values",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-no-output-projection",
        base="dense_loops",
        replace=(("self.output_layer(tf.concat(outputs, axis=-1))", "tf.concat(outputs, axis=-1)"),),
        task="multi_head_attention",
        misconception="no_output_projection",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-mean-of-heads",
        base="einsum",
        replace=(('tf.einsum("bhnp,hpo->bno", context, out)', "tf.reduce_mean(context, axis=1)"),),
        task="multi_head_attention",
        misconception="no_output_projection",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-biases",
        base="dense_loops",
        replace=(
            (
                "self.query_layers.append(layers.Dense(width, use_bias=False))",
                "self.query_layers.append(layers.Dense(width))",
            ),
            (
                "self.key_layers.append(layers.Dense(width, use_bias=False))",
                "self.key_layers.append(layers.Dense(width))",
            ),
            (
                "self.value_layers.append(layers.Dense(width, use_bias=False))",
                "self.value_layers.append(layers.Dense(width))",
            ),
        ),
        task="multi_head_attention",
        misconception="biases",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-output-bias",
        base="dense_loops",
        replace=(
            (
                "self.output_layer = layers.Dense(width, use_bias=False)",
                "self.output_layer = layers.Dense(width)",
            ),
        ),
        task="multi_head_attention",
        misconception="biases",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-never-returns-weights",
        base="einsum",
        replace=(
            (
                "        if self.return_attention_weights:\n"
                "            return output, tf.reduce_mean(weights, axis=1)  # mean over the heads\n",
                "",
            ),
        ),
        task="multi_head_attention",
        misconception="weights_flag_ignored",
    ),
    Edit(
        slug="multi-head-always-returns-weights",
        base="wide_dense",
        replace=(
            (
                "return (output, attention_weights) if self.return_attention_weights else output",
                "return output, attention_weights",
            ),
        ),
        task="multi_head_attention",
        misconception="weights_flag_ignored",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-weights-summed-over-heads",
        base="einsum",
        replace=(("tf.reduce_mean(weights, axis=1)", "tf.reduce_sum(weights, axis=1)"),),
        task="multi_head_attention",
        misconception="weights_summed_over_heads",
    ),
    Edit(
        slug="multi-head-weights-of-last-head",
        base="dense_loops",
        replace=(("tf.stack(alphas, axis=1)", "alpha"),),
        task="multi_head_attention",
        misconception="weights_of_one_head",
    ),
    Edit(
        slug="multi-head-output-matrix-untracked",
        base="wide_dense",
        replace=(('self.wo = tf.Variable(start, name="output_projection")', "self.wo = start"),),
        task="multi_head_attention",
        misconception="untracked_weights",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-tf-keras-dense",
        base="wide_dense",
        replace=(
            ("self.to_queries = layers.Dense(", "self.to_queries = tf.keras.layers.Dense("),
            ("self.to_keys = layers.Dense(", "self.to_keys = tf.keras.layers.Dense("),
            ("self.to_values = layers.Dense(", "self.to_values = tf.keras.layers.Dense("),
        ),
        task="multi_head_attention",
        misconception="other_keras",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-dense-made-in-call",
        base="dense_loops",
        replace=(("result = self.output_layer(", "result = layers.Dense(outputs[0].shape[-1], use_bias=False)("),),
        task="multi_head_attention",
        misconception="layers_made_in_call",
        suffers=_USERS,
    ),
    Edit(
        slug="multi-head-returns-zeros",
        base="by_definition",
        replace=(("output = tf.matmul(concat, self.WO)", "output = 0.0 * tf.matmul(concat, self.WO)"),),
        task="multi_head_attention",
        misconception="returns_zeros",
        suffers=_USERS,
    ),
)
