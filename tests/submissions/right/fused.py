"""ViT lab. The projections of queries, keys and values lie in one variable (one big matrix is faster, they say)."""

import tensorflow as tf
import tf_keras as keras


@tf.function
def scaled_dot_product_attention(q, k, v):
    scale = tf.math.rsqrt(tf.cast(tf.shape(q)[-1], q.dtype))
    attention_weights = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * scale)
    return tf.matmul(attention_weights, v), attention_weights


@keras.utils.register_keras_serializable("fused")
class MultiHeadAttention(keras.layers.Layer):
    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, **kwargs):
        super().__init__(**kwargs)
        self.n_heads, self.proj_size, self.dk, self.dv = n_heads, proj_size, dk, dv
        self.return_attention_weights = return_attention_weights

    def build(self, input_shape):
        width = self.n_heads * self.proj_size
        # rows: features of Q, then of K, then of V
        self.w_in = self.add_weight(name="w_in", shape=(2 * self.dk + self.dv, width), initializer="glorot_uniform")
        self.w_out = self.add_weight(name="w_out", shape=(width, self.proj_size), initializer="glorot_uniform")
        super().build(input_shape)

    def heads(self, x, w):
        """(batch, tokens, features) -> (batch, heads, tokens, proj_size); the heads are interleaved."""
        x = tf.tensordot(x, w, axes=1)
        x = tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1], self.proj_size, self.n_heads))
        return tf.transpose(x, (0, 3, 1, 2))

    def call(self, Q, K, V):
        w_q, w_k, w_v = tf.split(self.w_in, [self.dk, self.dk, self.dv])
        z, attention_weights = scaled_dot_product_attention(self.heads(Q, w_q), self.heads(K, w_k), self.heads(V, w_v))
        z = tf.transpose(z, (0, 2, 3, 1))  # (batch, tokens, proj_size, heads)
        z = tf.reshape(z, (tf.shape(z)[0], tf.shape(z)[1], self.proj_size * self.n_heads))
        output = tf.tensordot(z, self.w_out, axes=1)
        return [output, attention_weights] if self.return_attention_weights else output

    def get_config(self):
        names = ("n_heads", "proj_size", "dk", "dv", "return_attention_weights")
        return super().get_config() | {name: getattr(self, name) for name in names}


def gelu(x):
    return 0.5 * x * (1.0 + tf.math.erf(x / 2.0**0.5))


def mlp(x, hidden_units, dropout_rate):
    for place, units in enumerate(hidden_units, start=1):
        x = keras.layers.Dense(units)(x)
        if place < len(hidden_units):
            x = keras.layers.Dropout(dropout_rate)(keras.layers.Lambda(gelu)(x))
    return x


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    def frame(inputs, outputs):
        outputs = keras.layers.Dropout(dropout_rate)(outputs)
        return keras.layers.LayerNormalization(epsilon=1e-12)(outputs + inputs)

    width = int(x.shape[-1])
    tokens = frame(x, MultiHeadAttention(num_heads, projection_dim, width, width)(x, x, x))
    return frame(tokens, mlp(tokens, transformer_units, dropout_rate))


@keras.utils.register_keras_serializable("fused")
class PatchExtractor(keras.layers.Layer):
    def __init__(self, patch_size=16, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        p, (h, w, c) = self.patch_size, images.shape[1:]
        # the number of each pixel, cut into patches once, tells where every number goes
        places = tf.reshape(tf.range(h * w * c), (h // p, p, w // p, p, c))
        places = tf.reshape(tf.transpose(places, (0, 2, 1, 3, 4)), ((h // p) * (w // p), p * p * c))
        return tf.gather(tf.reshape(images, (-1, h * w * c)), places, axis=1)

    def get_config(self):
        return super().get_config() | {"patch_size": self.patch_size}


@keras.utils.register_keras_serializable("fused")
class PatchEncoder(keras.layers.Layer):
    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        super().__init__(**kwargs)
        self.num_patches, self.projection_dim = num_patches, projection_dim
        self.project = keras.layers.Dense(projection_dim)
        self.positions = keras.layers.Embedding(num_patches + 1, projection_dim)

    def build(self, input_shape):
        self.cls = self.add_weight(name="cls", shape=(self.projection_dim,), initializer="uniform")
        super().build(input_shape)

    def call(self, patches):
        n = self.num_patches
        x = self.project(patches) + self.positions(tf.range(n))
        cls = self.cls + self.positions(tf.constant(n))  # the last row of the table is that of the class token
        cls = tf.broadcast_to(cls, (tf.shape(x)[0], 1, self.projection_dim))
        return tf.concat((cls, x), 1)

    def get_config(self):
        return super().get_config() | {"num_patches": self.num_patches, "projection_dim": self.projection_dim}


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
    images = x = keras.Input(shape=input_shape, name="images")
    if data_augmentation:
        x = data_augmentation(x)
    x = PatchExtractor(patch_size, name="patches")(x)
    x = PatchEncoder(x.shape[1], embedding_proj_dim, name="tokens")(x)
    mlp_units = [msa_proj_dim * factor for factor in (2, 1)]
    for _ in range(transformer_layers):
        x = transformerBlock(x, num_heads, msa_proj_dim, mlp_units, dropout_rate=msa_dropout_rate)
    cls, _ = tf.split(x, [1, x.shape[1] - 1], axis=1)
    x = keras.layers.Flatten()(cls)
    for units in mlp_classification_head_units:
        x = keras.layers.Dense(units, activation=gelu)(x)
        x = keras.layers.Dropout(mlp_classification_head_dropout_rate)(x)
    return keras.Model(images, keras.layers.Dense(num_classes, name="logits")(x), name="vit")
