"""My utilities for the vision transformer lab.

All heads are computed by one wide Dense layer and split afterwards.
"""

import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

EPSILON = 1e-3


def scaled_dot_product_attention(q, k, v, temperature=1.0):
    """Softmax written out; the maximum is subtracted so that exp does not overflow."""
    d = tf.cast(tf.shape(q)[-1], tf.float32)
    kT = tf.linalg.matrix_transpose(k)
    scores = (q @ kT) * tf.math.rsqrt(d) / temperature
    e = tf.exp(scores - tf.reduce_max(scores, axis=-1, keepdims=True))
    attention_weights = e / tf.reduce_sum(e, axis=-1, keepdims=True)
    output = attention_weights @ v
    return output, attention_weights


class MultiHeadAttention(layers.Layer):
    def __init__(
        self,
        n_heads,
        proj_size,
        dk,
        dv,
        return_attention_weights=False,
        initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.n_heads = n_heads
        self.proj_size = proj_size
        self.return_attention_weights = return_attention_weights
        width = n_heads * proj_size
        self.to_queries = layers.Dense(width, use_bias=False, kernel_initializer=initializer)
        self.to_keys = layers.Dense(width, use_bias=False, kernel_initializer=initializer)
        self.to_values = layers.Dense(width, use_bias=False, kernel_initializer=initializer)
        start = tf.random.normal((width, proj_size), stddev=width**-0.5)
        self.wo = tf.Variable(start, name="output_projection")

    def split_heads(self, x):
        """(B, N, H*P) -> (B, H, N, P)."""
        x = tf.reshape(x, (-1, tf.shape(x)[1], self.n_heads, self.proj_size))
        return tf.transpose(x, (0, 2, 1, 3))

    def merge_heads(self, x):
        """(B, H, N, P) -> (B, N, H*P)."""
        x = tf.transpose(x, (0, 2, 1, 3))
        return tf.reshape(x, (-1, tf.shape(x)[1], self.n_heads * self.proj_size))

    def call(self, Q, K, V, training=None):
        q = self.split_heads(self.to_queries(Q))
        k = self.split_heads(self.to_keys(K))
        v = self.split_heads(self.to_values(V))
        z, attention_weights = scaled_dot_product_attention(q, k, v)
        z = self.merge_heads(z)
        output = tf.matmul(z, self.wo)
        return (output, attention_weights) if self.return_attention_weights else output


def mlp(x, hidden_units, dropout_rate, activation="relu"):
    for units in hidden_units:
        x = layers.Dense(units, activation=activation)(x)
        x = layers.Dropout(dropout_rate)(x)
    return x


def transformerBlock(
    x, num_heads, projection_dim, transformer_units, dropout_rate=0.1, epsilon=EPSILON, activation="relu"
):
    attention_layer = MultiHeadAttention(num_heads, projection_dim, x.shape[-1], x.shape[-1])
    a = attention_layer(x, x, x)
    a = layers.Dropout(dropout_rate)(a)
    a = layers.LayerNormalization(epsilon=epsilon)(layers.add([a, x]))

    b = mlp(a, transformer_units, dropout_rate, activation=activation)
    b = layers.Dropout(dropout_rate)(b)
    return layers.LayerNormalization(epsilon=epsilon)(layers.add([b, a]))


class PatchExtractor(layers.Layer):
    def __init__(self, patch_size=16, flatten=True, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size
        self.flatten = flatten

    def call(self, images):
        # space_to_depth moves every p x p block into the channels: row, column, channel
        blocks = tf.nn.space_to_depth(images, self.patch_size)
        if not self.flatten:
            return blocks
        return tf.reshape(blocks, (-1, blocks.shape[1] * blocks.shape[2], blocks.shape[3]))


class PatchEncoder(layers.Layer):
    def __init__(self, num_patches=4, projection_dim=768, token_stddev=0.02, **kwargs):
        super().__init__(**kwargs)
        self.projection = layers.Dense(units=projection_dim)
        token = tf.random.normal((1, 1, projection_dim), stddev=token_stddev)
        self.cls_token = tf.Variable(token, trainable=True, name="cls_token")
        self.positions = tf.range(num_patches + 1)
        self.position_embedding = layers.Embedding(num_patches + 1, projection_dim)

    def call(self, x):
        x = self.projection(x)
        cls = tf.broadcast_to(self.cls_token, tf.shape(x[:, :1, :]))
        x = layers.concatenate([cls, x], axis=1)
        return x + self.position_embedding(self.positions)[tf.newaxis]


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
    mlp_classification_head_dropout_rate=0.1,
    data_augmentation=None,
    name="vit_classifier",
):
    image = layers.Input(shape=input_shape)
    x = image
    if data_augmentation is not None:
        x = data_augmentation(x)
    x = PatchExtractor(patch_size)(x)
    x = PatchEncoder(num_patches=(input_shape[0] // patch_size) ** 2, projection_dim=embedding_proj_dim)(x)
    for _ in range(transformer_layers):
        units = [msa_proj_dim * 2, msa_proj_dim]
        x = transformerBlock(x, num_heads, msa_proj_dim, units, dropout_rate=msa_dropout_rate)
    cls = layers.Lambda(lambda tokens: tokens[:, 0])(x)
    features = mlp(cls, hidden_units=mlp_classification_head_units, dropout_rate=mlp_classification_head_dropout_rate)
    logits = layers.Dense(num_classes)(features)
    return keras.Model(inputs=image, outputs=logits, name=name)
