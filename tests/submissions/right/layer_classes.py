"""Lab on transformers: every box of the figures is a class of its own.

The functions that the notebook asks for only make an object and call it.
"""

import math

import tensorflow as tf
import tf_keras
from tf_keras.layers import Dense, Dropout, Embedding, Layer


class ScaledDotProduct(Layer):
    """The lower left figure of the attention paper."""

    def call(self, query, key, value):
        factor = 1.0 / math.sqrt(query.shape[-1])
        compatibility = tf.matmul(factor * query, key, transpose_b=True)
        importance = tf.nn.softmax(compatibility)
        return tf.matmul(importance, value), importance


def scaled_dot_product_attention(q, k, v):
    return ScaledDotProduct()(q, k, v)


class AttentionHead(Layer):
    """One head, with three projections that no other head uses."""

    def __init__(self, size):
        super().__init__()
        self.size = size

    def build(self, input_shapes):
        query_shape, key_shape, value_shape = input_shapes
        self.query_matrix = self.add_weight("query_matrix", (query_shape[-1], self.size))
        self.key_matrix = self.add_weight("key_matrix", (key_shape[-1], self.size))
        self.value_matrix = self.add_weight("value_matrix", (value_shape[-1], self.size))
        super().build(input_shapes)

    def call(self, inputs):
        query, key, value = inputs
        return scaled_dot_product_attention(
            tf.matmul(query, self.query_matrix), tf.matmul(key, self.key_matrix), tf.matmul(value, self.value_matrix)
        )


class MultiHeadAttention(Layer):
    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, **kwargs):
        super().__init__(**kwargs)
        self.heads = [AttentionHead(proj_size) for _ in range(n_heads)]
        self.mixer = Dense(proj_size, use_bias=False)
        self.return_attention_weights = return_attention_weights

    def call(self, Q, K, V):
        found = [head([Q, K, V]) for head in self.heads]
        output = self.mixer(tf.concat([context for context, _ in found], axis=-1))
        if self.return_attention_weights:
            return output, tf.add_n([weights for _, weights in found]) / len(found)
        return output


class FeedForward(Layer):
    """Dense and Dropout in turn, with GELU between the Dense layers."""

    def __init__(self, widths, rate):
        super().__init__()
        self.denses = [Dense(width) for width in widths]
        self.dropouts = [Dropout(rate) for _ in widths]

    def call(self, x, training=None):
        for dense, dropout in zip(self.denses[:-1], self.dropouts):
            x = dropout(tf.nn.gelu(dense(x)), training=training)
        return self.dropouts[-1](self.denses[-1](x), training=training)


def mlp(x, hidden_units, dropout_rate):
    return FeedForward(hidden_units, dropout_rate)(x)


class Normalisation(Layer):
    """Layer normalisation, written out."""

    def __init__(self, epsilon=1e-5):
        super().__init__()
        self.epsilon = epsilon

    def build(self, input_shape):
        self.gain = self.add_weight("gain", (input_shape[-1],), initializer="ones")
        self.shift = self.add_weight("shift", (input_shape[-1],), initializer="zeros")
        super().build(input_shape)

    def call(self, x):
        mean = tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean((x - mean) ** 2, axis=-1, keepdims=True)
        return self.gain * (x - mean) / tf.sqrt(variance + self.epsilon) + self.shift


class EncoderLayer(Layer):
    """Figure 1 of the paper, left side."""

    def __init__(self, heads, width, units, rate):
        super().__init__()
        self.attention = MultiHeadAttention(heads, width, width, width)
        self.dropout = Dropout(rate)
        self.feed_forward = FeedForward(units, rate)
        self.norm_of_attention = Normalisation()
        self.norm_of_feed_forward = Normalisation()

    def call(self, x, training=None):
        attended = self.dropout(self.attention(x, x, x), training=training)
        x = self.norm_of_attention(x + attended)
        return self.norm_of_feed_forward(x + self.feed_forward(x, training=training))


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    return EncoderLayer(num_heads, projection_dim, transformer_units, dropout_rate)(x)


class PatchExtractor(Layer):
    def __init__(self, patch_size=16, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        rows = tf.split(images, images.shape[1] // self.patch_size, axis=1)
        squares = [square for row in rows for square in tf.split(row, row.shape[2] // self.patch_size, axis=2)]
        numbers = self.patch_size * self.patch_size * images.shape[-1]
        return tf.stack([tf.reshape(square, (-1, numbers)) for square in squares], axis=1)


class ClassToken(Layer):
    """Put one learned vector before the tokens of every image."""

    def build(self, input_shape):
        self.vector = self.add_weight("vector", (1, 1, input_shape[-1]), initializer="random_normal")
        super().build(input_shape)

    def call(self, tokens):
        copies = tf.zeros_like(tokens[:, :1]) + self.vector
        return tf.concat([copies, tokens], axis=1)


class PositionEmbedding(Layer):
    """Add a learned vector for each place."""

    def __init__(self, places, width):
        super().__init__()
        self.places = places
        self.table = Embedding(places, width)

    def call(self, tokens):
        return tokens + self.table(tf.range(self.places))


class PatchEncoder(Layer):
    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        super().__init__(**kwargs)
        self.steps = [Dense(projection_dim), ClassToken(), PositionEmbedding(num_patches + 1, projection_dim)]

    def call(self, patches):
        for step in self.steps:
            patches = step(patches)
        return patches


class Classifier(Layer):
    """Read the class token and turn it into logits."""

    def __init__(self, units, rate, classes):
        super().__init__()
        self.hidden = FeedForward(units, rate)
        self.logits = Dense(classes)

    def call(self, tokens, training=None):
        features = self.hidden(tokens[:, 0], training=training)
        return self.logits(tf.nn.gelu(features))


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
    image = tf_keras.Input(input_shape)
    augmented = data_augmentation(image) if data_augmentation is not None else image
    patches = PatchExtractor(patch_size)(augmented)
    tokens = PatchEncoder(patches.shape[1], embedding_proj_dim)(patches)
    for _ in range(transformer_layers):
        tokens = EncoderLayer(num_heads, msa_proj_dim, [2 * msa_proj_dim, msa_proj_dim], msa_dropout_rate)(tokens)
    classifier = Classifier(mlp_classification_head_units, mlp_classification_head_dropout_rate, num_classes)
    return tf_keras.Model(image, classifier(tokens))
