"""utilities.py - everything that can be an einsum is an einsum."""

import tensorflow as tf
import tf_keras as keras
from tf_keras.layers import Add, Dense, Dropout, Embedding, Input, Layer, LayerNormalization


def scaled_dot_product_attention(q, k, v, mask=None):
    depth = q.shape[-1]
    logits = tf.einsum("...qd,...kd->...qk", q, k) / depth**0.5
    if mask is not None:
        logits += -1e9 * (1.0 - tf.cast(mask, logits.dtype))  # 1 = may be attended to
    weights = tf.nn.softmax(logits, axis=-1)
    return tf.einsum("...qk,...kd->...qd", weights, v), weights


class MultiHeadAttention(Layer):
    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, **kwargs):
        super().__init__(**kwargs)
        self.n_heads, self.proj_size, self.dk, self.dv = n_heads, proj_size, dk, dv
        self.return_attention_weights = return_attention_weights

    def build(self, input_shape):
        h, p = self.n_heads, self.proj_size
        self.query_kernel = self.add_weight(name="query_kernel", shape=(h, p, self.dk), initializer="glorot_uniform")
        self.key_kernel = self.add_weight(name="key_kernel", shape=(h, p, self.dk), initializer="glorot_uniform")
        self.value_kernel = self.add_weight(name="value_kernel", shape=(h, p, self.dv), initializer="glorot_uniform")
        self.out_kernel = self.add_weight(name="out_kernel", shape=(h * p, p), initializer="glorot_uniform")
        super().build(input_shape)

    def call(self, Q, K, V, mask=None):
        q = tf.einsum("bnd,hpd->bhnp", Q, self.query_kernel)
        k = tf.einsum("bnd,hpd->bhnp", K, self.key_kernel)
        v = tf.einsum("bnd,hpd->bhnp", V, self.value_kernel)
        context, weights = scaled_dot_product_attention(q, k, v, mask)
        out = tf.reshape(self.out_kernel, (self.n_heads, self.proj_size, self.proj_size))
        # summing over h and p at once = concatenate the heads, then one matrix product
        output = tf.einsum("bhnp,hpo->bno", context, out)
        if self.return_attention_weights:
            return output, tf.reduce_mean(weights, axis=1)  # mean over the heads
        return output


def mlp(x, hidden_units, dropout_rate):
    *hidden, last = hidden_units
    for units in hidden:
        x = Dense(units, activation=tf.nn.gelu)(x)
        x = Dropout(dropout_rate)(x)
    x = Dense(last)(x)
    return Dropout(dropout_rate)(x)


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    model_dim = x.shape[-1]
    msa = MultiHeadAttention(num_heads, projection_dim, dk=model_dim, dv=model_dim)
    attended = Dropout(dropout_rate)(msa(x, x, x))
    x = Add()([x, attended])
    x = LayerNormalization(epsilon=1e-5)(x)
    ff = mlp(x, transformer_units, dropout_rate)
    x = Add()([x, ff])
    return LayerNormalization(epsilon=1e-5)(x)


class PatchExtractor(Layer):
    def __init__(self, patch_size=16, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        size = [1, self.patch_size, self.patch_size, 1]
        patches = tf.image.extract_patches(images=images, sizes=size, strides=size, rates=[1, 1, 1, 1], padding="VALID")
        # (B, rows, columns, p*p*C) -> (B, rows*columns, p*p*C)
        return tf.reshape(patches, (tf.shape(images)[0], patches.shape[1] * patches.shape[2], patches.shape[3]))

    def get_config(self):
        return {**super().get_config(), "patch_size": self.patch_size}


class PatchEncoder(Layer):
    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        super().__init__(**kwargs)
        self.num_patches = num_patches
        self.projection_dim = projection_dim

    def build(self, input_shape):
        d = self.projection_dim
        self.kernel = self.add_weight(name="patch_kernel", shape=(input_shape[-1], d))
        self.bias = self.add_weight(name="patch_bias", shape=(d,), initializer="zeros")
        self.cls = self.add_weight(name="cls", shape=(d,), initializer="zeros", trainable=True)
        self.pos = Embedding(self.num_patches + 1, d)
        super().build(input_shape)

    def call(self, patches):
        embedded = tf.einsum("bnf,fd->bnd", patches, self.kernel) + self.bias
        cls = tf.einsum("b,d->bd", tf.ones_like(patches[:, 0, 0]), self.cls)[:, tf.newaxis, :]
        tokens = tf.concat([cls, embedded], axis=1)
        return tokens + self.pos(tf.range(start=0, limit=self.num_patches + 1, delta=1))

    def get_config(self):
        config = super().get_config()
        config.update(num_patches=self.num_patches, projection_dim=self.projection_dim)
        return config


def create_vit_classifier(
    input_shape=(32, 32, 3),
    num_classes=10,
    patch_size=16,
    embedding_proj_dim=768,
    num_heads=12,
    msa_proj_dim=768,
    transformer_layers=12,
    msa_dropout_rate=0.1,
    mlp_classification_head_units=None,
    mlp_classification_head_dropout_rate=0.3,
    data_augmentation=None,
):
    head_units = mlp_classification_head_units or [3074]
    inputs = Input(input_shape)
    x = data_augmentation(inputs) if data_augmentation else inputs
    x = PatchExtractor(patch_size=patch_size)(x)
    x = PatchEncoder(num_patches=x.shape[1], projection_dim=embedding_proj_dim)(x)
    for _ in range(transformer_layers):
        x = transformerBlock(
            x,
            num_heads=num_heads,
            projection_dim=msa_proj_dim,
            transformer_units=[2 * msa_proj_dim, msa_proj_dim],
            dropout_rate=msa_dropout_rate,
        )
    x = mlp(x[:, 0, :], head_units, mlp_classification_head_dropout_rate)
    outputs = Dense(num_classes, name="logits")(x)
    return keras.Model(inputs, outputs, name="vit")
