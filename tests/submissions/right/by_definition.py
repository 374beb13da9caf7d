"""Vision transformer, written line by line from the definitions in the two papers."""

import tensorflow as tf
from tf_keras import Model, layers


def scaled_dot_product_attention(q, k, v):
    """Attention(q, k, v) = softmax(q k^T / sqrt(d)) v.

    Works for any number of leading axes, the matrix products use the last two.
    """
    d = tf.cast(tf.shape(k)[-1], k.dtype)
    scores = tf.matmul(q, k, transpose_b=True) / tf.sqrt(d)  # (..., Nq, Nk)
    attention_weights = tf.nn.softmax(scores, axis=-1)  # each query's weights sum to 1
    output = tf.matmul(attention_weights, v)  # (..., Nq, dv)
    return output, attention_weights


class MultiHeadAttention(layers.Layer):
    """Attention with n_heads heads, each proj_size wide."""

    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, **kwargs):
        super().__init__(**kwargs)
        self.n_heads = n_heads
        self.proj_size = proj_size
        self.return_attention_weights = return_attention_weights
        # one matrix per head, no biases
        self.WQ = self.add_weight(name="WQ", shape=(n_heads, dk, proj_size), initializer="glorot_uniform")
        self.WK = self.add_weight(name="WK", shape=(n_heads, dk, proj_size), initializer="glorot_uniform")
        self.WV = self.add_weight(name="WV", shape=(n_heads, dv, proj_size), initializer="glorot_uniform")
        self.WO = self.add_weight(name="WO", shape=(n_heads * proj_size, proj_size), initializer="glorot_uniform")

    def call(self, Q, K, V):
        # the new axis lets matmul broadcast every sample against all heads
        q = tf.matmul(tf.expand_dims(Q, 1), self.WQ)  # (B, H, Nq, P)
        k = tf.matmul(tf.expand_dims(K, 1), self.WK)  # (B, H, Nk, P)
        v = tf.matmul(tf.expand_dims(V, 1), self.WV)  # (B, H, Nk, P)
        heads, attention_weights = scaled_dot_product_attention(q, k, v)
        heads = tf.transpose(heads, perm=[0, 2, 1, 3])  # (B, Nq, H, P)
        concat = tf.reshape(heads, (tf.shape(Q)[0], tf.shape(Q)[1], self.n_heads * self.proj_size))
        output = tf.matmul(concat, self.WO)  # (B, Nq, P)
        if self.return_attention_weights:
            return output, attention_weights
        return output


def mlp(x, hidden_units, dropout_rate):
    """Dense and Dropout for each width; ReLU everywhere but after the last Dense."""
    last = len(hidden_units) - 1
    for i, units in enumerate(hidden_units):
        x = layers.Dense(units, activation="relu" if i < last else None)(x)
        x = layers.Dropout(dropout_rate)(x)
    return x


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    """One encoder layer of Vaswani et al. (2017): the norms come after the additions."""
    dim = x.shape[-1]
    attention = MultiHeadAttention(num_heads, projection_dim, dim, dim)(x, x, x)
    attention = layers.Dropout(dropout_rate)(attention)
    x1 = layers.LayerNormalization(epsilon=1e-6)(x + attention)
    # mlp ends with its own dropout
    x2 = mlp(x1, transformer_units, dropout_rate)
    return layers.LayerNormalization(epsilon=1e-6)(x1 + x2)


class PatchExtractor(layers.Layer):
    """Cut square images into square patches."""

    def __init__(self, patch_size=16, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        p = self.patch_size
        batch = tf.shape(images)[0]
        channels = images.shape[3]
        n = images.shape[1] // p
        x = tf.reshape(images, (batch, n, p, n, p, channels))
        x = tf.transpose(x, perm=[0, 1, 3, 2, 4, 5])  # (B, row, column, p, p, C)
        return tf.reshape(x, (batch, n * n, p * p * channels))


class PatchEncoder(layers.Layer):
    """Project the patches, put the class token in front and add the positions."""

    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        super().__init__(**kwargs)
        self.num_patches = num_patches
        self.projection = layers.Dense(projection_dim)
        self.class_token = self.add_weight(
            name="class_token", shape=(1, 1, projection_dim), initializer="random_normal", trainable=True
        )
        self.position_embedding = layers.Embedding(input_dim=num_patches + 1, output_dim=projection_dim)

    def call(self, patches):
        x = self.projection(patches)  # (B, N, D)
        token = tf.repeat(self.class_token, tf.shape(patches)[0], axis=0)  # (B, 1, D)
        x = tf.concat([token, x], axis=1)  # (B, N+1, D)
        positions = tf.range(self.num_patches + 1)
        return x + self.position_embedding(positions)


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
    """Image in, logits out."""
    inputs = layers.Input(shape=input_shape)
    images = inputs if data_augmentation is None else data_augmentation(inputs)
    patches = PatchExtractor(patch_size)(images)
    num_patches = (input_shape[0] // patch_size) * (input_shape[1] // patch_size)
    x = PatchEncoder(num_patches, embedding_proj_dim)(patches)
    for _ in range(transformer_layers):
        x = transformerBlock(x, num_heads, msa_proj_dim, [2 * msa_proj_dim, msa_proj_dim], msa_dropout_rate)
    class_token = x[:, 0]
    features = mlp(class_token, mlp_classification_head_units, mlp_classification_head_dropout_rate)
    logits = layers.Dense(num_classes)(features)
    return Model(inputs=inputs, outputs=logits)
