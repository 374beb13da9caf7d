# Lab: vision transformers
# I kept the heads in a list, so that I can see what every head does.
import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers


def scaled_dot_product_attention(queries, keys, values):
    axes = list(range(len(keys.shape)))
    axes[-1], axes[-2] = axes[-2], axes[-1]  # swap only the last two
    keys_transposed = tf.transpose(keys, perm=axes)

    similarity = tf.matmul(queries, keys_transposed)
    similarity = similarity / np.sqrt(keys.shape[-1])
    alpha = tf.nn.softmax(similarity)
    return tf.matmul(alpha, values), alpha


class MultiHeadAttention(layers.Layer):
    def __init__(self, num_heads, width, dim_keys, dim_values, return_weights=False):
        super().__init__()
        self.num_heads = num_heads
        self.return_weights = return_weights
        self.dim_keys = dim_keys
        self.dim_values = dim_values

        self.query_layers = []
        self.key_layers = []
        self.value_layers = []
        for _ in range(num_heads):
            self.query_layers.append(layers.Dense(width, use_bias=False))
            self.key_layers.append(layers.Dense(width, use_bias=False))
            self.value_layers.append(layers.Dense(width, use_bias=False))
        self.output_layer = layers.Dense(width, use_bias=False)

    def call(self, queries, keys, values):
        outputs = []
        alphas = []
        for i in range(self.num_heads):
            q = self.query_layers[i](queries)
            k = self.key_layers[i](keys)
            v = self.value_layers[i](values)
            head, alpha = scaled_dot_product_attention(q, k, v)
            outputs.append(head)
            alphas.append(alpha)

        result = self.output_layer(tf.concat(outputs, axis=-1))
        if self.return_weights:
            return result, tf.stack(alphas, axis=1)
        return result


def mlp(inputs, units, rate):
    y = inputs
    for width in units[:-1]:
        y = layers.Dense(width)(y)
        y = layers.ReLU()(y)
        y = layers.Dropout(rate)(y)
    return layers.Dense(units[-1])(y)  # no dropout and no ReLU here


def transformerBlock(inputs, heads, width, units, rate=0.1):
    features = inputs.shape[-1]

    # first part: attention
    attention = MultiHeadAttention(heads, width, features, features)(inputs, inputs, inputs)
    attention = layers.Dropout(rate)(attention)
    summed = inputs + attention
    normed = layers.LayerNormalization()(summed)

    # second part: mlp
    forward = mlp(normed, units, rate)
    forward = layers.Dropout(rate)(forward)
    summed = normed + forward
    return layers.LayerNormalization()(summed)


class PatchExtractor(layers.Layer):
    def __init__(self, size=16):
        super().__init__()
        self.size = size

    def call(self, images):
        height, width, channels = images.shape[1:]
        patches = []
        for top in range(0, height, self.size):
            for left in range(0, width, self.size):
                patch = images[:, top : top + self.size, left : left + self.size, :]
                patches.append(tf.reshape(patch, (-1, self.size * self.size * channels)))
        return tf.stack(patches, axis=1)


class PatchEncoder(layers.Layer):
    def __init__(self, num_patches=4, width=768):
        super().__init__()
        self.width = width
        self.linear = layers.Dense(width)

    def build(self, shape):
        # I count the patches here, then num_patches cannot be wrong
        self.tokens = shape[1] + 1
        self.positions = layers.Embedding(self.tokens, self.width)
        self.token = self.add_weight(name="token", shape=(1, self.width), initializer="random_uniform")
        super().build(shape)

    def call(self, patches):
        batch = tf.shape(patches)[0]
        encoded = self.linear(patches)
        token = tf.tile(self.token[:, None, :], [batch, 1, 1])
        encoded = tf.concat([encoded, token], axis=1)  # class token at the end!

        indices = tf.tile(tf.range(self.tokens)[None, :], [batch, 1])  # one row of indices per image
        return encoded + self.positions(indices)


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
):
    image = tf_keras.Input(shape=input_shape)
    patches = PatchExtractor(patch_size)(image)
    tokens = PatchEncoder(width=embedding_proj_dim)(patches)

    units = [msa_proj_dim * 2, msa_proj_dim]
    for _ in range(transformer_layers):
        tokens = transformerBlock(tokens, num_heads, msa_proj_dim, units, msa_dropout_rate)

    class_token = tokens[:, -1]  # PatchEncoder puts it last
    hidden = mlp(class_token, mlp_classification_head_units, mlp_classification_head_dropout_rate)
    return tf_keras.Model(image, layers.Dense(num_classes)(hidden))
