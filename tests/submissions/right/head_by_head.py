"""Assignment "ViT". I compute one head after the other and add up what each contributes to the output.

Concatenating the heads and multiplying with WO is the same as multiplying each head with its own rows of WO
and adding the products. This way nothing has to be transposed.
"""
import tensorflow as tf
import tf_keras as tfk

tfkl = tfk.layers


def scaled_dot_product_attention(q, k, v, mask=None, scale=None):
    """q: [..., n, d], k: [..., m, d], v: [..., m, dv] -> [..., n, dv], [..., n, m]"""
    if scale is None:
        scale = q.shape[-1] ** -0.5
    energies = tf.einsum("...nd,...md->...nm", q * scale, k)
    if mask is not None:
        energies = tf.where(mask, energies, -1e9)
    weights = tf.nn.softmax(energies, axis=-1)
    return weights @ v, weights


class MultiHeadAttention(tfkl.Layer):
    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, **kwargs):
        super().__init__(**kwargs)
        self.n_heads = n_heads
        self.return_attention_weights = return_attention_weights
        self.wq = [self.add_weight(name=f"wq_{i}", shape=(dk, proj_size)) for i in range(n_heads)]
        self.wk = [self.add_weight(name=f"wk_{i}", shape=(dk, proj_size)) for i in range(n_heads)]
        self.wv = [self.add_weight(name=f"wv_{i}", shape=(dv, proj_size)) for i in range(n_heads)]
        self.wo = [self.add_weight(name=f"wo_{i}", shape=(proj_size, proj_size)) for i in range(n_heads)]

    def call(self, Q, K, V):
        output, all_weights = 0.0, []
        for wq, wk, wv, wo in zip(self.wq, self.wk, self.wv, self.wo):
            head, weights = scaled_dot_product_attention(Q @ wq, K @ wk, V @ wv)
            output += head @ wo
            all_weights.append(weights)
        if self.return_attention_weights:
            return output, tf.stack(all_weights, axis=1)
        return output


def mlp(x, hidden_units, dropout_rate):
    """Recursive: the first layer, and then the rest."""
    units, *rest = hidden_units
    if not rest:
        return tfkl.Dropout(dropout_rate)(tfkl.Dense(units)(x))
    x = tfkl.Dense(units)(x)
    x = tfkl.Activation("gelu")(x)
    x = tfkl.Dropout(dropout_rate)(x)
    return mlp(x, rest, dropout_rate)


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1, name=None):
    """The block is a model of its own, so that plot_model draws it as one box."""
    tokens = tfk.Input(shape=x.shape[1:])
    mha = MultiHeadAttention(num_heads, projection_dim, projection_dim, projection_dim)
    y = tfkl.Dropout(dropout_rate)(mha(Q=tokens, K=tokens, V=tokens))
    y = tfkl.Add()([tokens, y])
    y = tfkl.LayerNormalization(epsilon=1e-4)(y)
    z = mlp(y, transformer_units, dropout_rate)
    z = tfkl.Add()([y, z])
    z = tfkl.LayerNormalization(epsilon=1e-4)(z)
    return tfk.Model(tokens, z, name=name)(x)


class PatchExtractor(tfkl.Layer):
    def __init__(self, patch_size=16, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        p = self.patch_size
        rows, columns = images.shape[1] // p, images.shape[2] // p
        # pixel (i, j) of all patches at once: every p-th row and column, beginning at (i, j)
        pixels = [images[:, i::p, j::p, :] for i in range(p) for j in range(p)]
        patches = tf.concat(pixels, axis=-1)
        return tf.reshape(patches, [tf.shape(images)[0], rows * columns, p * p * images.shape[-1]])


class PatchEncoder(tfkl.Layer):
    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        super().__init__(**kwargs)
        self.dim = projection_dim
        self.linear = tfkl.Dense(projection_dim, kernel_initializer="he_normal")
        self.embedding = tfkl.Embedding(num_patches + 1, projection_dim)
        self.cls_token = self.add_weight(
            name="cls_token", shape=[1, 1, projection_dim], initializer=tfk.initializers.TruncatedNormal(stddev=0.02)
        )

    def call(self, patches):
        tokens = tf.pad(self.linear(patches), [[0, 0], [1, 0], [0, 0]])  # an empty place for the class token
        n = tokens.shape[1]
        tokens += tf.one_hot([0], n, axis=1)[..., tf.newaxis] * self.cls_token
        return tokens + tf.reshape(self.embedding(tf.range(n)), [1, n, self.dim])


def create_vit_classifier(
    input_shape=(32, 32, 3),
    num_classes=10,
    patch_size=16,
    embedding_proj_dim=768,
    num_heads=12,
    msa_proj_dim=768,
    transformer_layers=12,
    msa_dropout_rate=0.1,
    mlp_classification_head_units=(3074,),
    mlp_classification_head_dropout_rate=0.5,
    data_augmentation=None,
):
    inputs = tfk.Input(shape=input_shape)
    x = data_augmentation(inputs) if data_augmentation is not None else inputs
    x = PatchExtractor(patch_size)(x)
    num_patches = x.shape[1]
    x = PatchEncoder(num_patches, embedding_proj_dim)(x)
    for i in range(transformer_layers):
        x = transformerBlock(
            x, num_heads, msa_proj_dim, [2 * msa_proj_dim, msa_proj_dim], msa_dropout_rate, name=f"encoder_{i}"
        )
    x = tfkl.Cropping1D((0, num_patches))(x)  # only the class token stays
    x = tfkl.Reshape((embedding_proj_dim,))(x)
    x = mlp(x, mlp_classification_head_units, mlp_classification_head_dropout_rate)
    x = tfkl.Activation("gelu")(x)
    return tfk.Model(inputs, tfkl.Dense(num_classes, activation=None)(x))
