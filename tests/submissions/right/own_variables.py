# Vision transformer, as close to the formulas as I can: only tf.Variable and tf.nn, no ready-made layers.
import numpy as np
import tensorflow as tf
from tf_keras import Input, Model
from tf_keras.layers import Embedding, Layer


def new_variable(*shape):
    return tf.Variable(tf.random.normal(shape, stddev=shape[-1] ** -0.5), trainable=True)


def scaled_dot_product_attention(q, k, v):
    # sum_j exp(s_ij) v_j / sum_j exp(s_ij), by logarithms so that nothing overflows
    s = tf.reduce_sum(q[..., :, None, :] * k[..., None, :, :], axis=-1) / np.sqrt(k.shape[-1])
    log_a = s - tf.reduce_logsumexp(s, axis=-1, keepdims=True)
    a = tf.exp(log_a)
    return tf.reduce_sum(a[..., None] * v[..., None, :, :], axis=-2), a


class MultiHeadAttention(Layer):
    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, **kwargs):
        super().__init__(**kwargs)
        self.h, self.p = n_heads, proj_size
        self.flag = return_attention_weights
        self.W_Q = new_variable(n_heads, proj_size, dk)
        self.W_K = new_variable(n_heads, proj_size, dk)
        self.W_V = new_variable(n_heads, proj_size, dv)
        self.W_O = new_variable(n_heads * proj_size, proj_size)

    def call(self, Q, K, V):
        # (B, 1, N, d) times (H, d, P)
        q = tf.matmul(Q[:, None], self.W_Q, transpose_b=True)
        k = tf.matmul(K[:, None], self.W_K, transpose_b=True)
        v = tf.matmul(V[:, None], self.W_V, transpose_b=True)
        z, a = scaled_dot_product_attention(q, k, v)
        z = tf.concat([z[:, i] for i in range(self.h)], axis=-1)
        y = tf.matmul(z, self.W_O)
        if self.flag:
            return y, tf.reduce_mean(a, axis=1)
        return y


class Affine(Layer):
    def __init__(self, width):
        super().__init__()
        self.width = width

    def build(self, shape):
        self.W = tf.Variable(tf.random.normal((shape[-1], self.width), stddev=shape[-1] ** -0.5))
        self.b = tf.Variable(tf.zeros(self.width))

    def call(self, x):
        return tf.tensordot(x, self.W, 1) + self.b


class Drop(Layer):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def call(self, x, training=None):
        if not training or self.rate == 0:
            return x
        keep = tf.cast(tf.random.uniform(tf.shape(x)) >= self.rate, x.dtype)
        return x * keep / (1 - self.rate)


class Norm(Layer):
    def build(self, shape):
        self.gamma = tf.Variable(tf.ones(shape[-1]))
        self.beta = tf.Variable(tf.zeros(shape[-1]))

    def call(self, x):
        m, var = tf.nn.moments(x, axes=[-1], keepdims=True)
        return tf.nn.batch_normalization(x, m, var, self.beta, self.gamma, 1e-6)


def mlp(x, hidden_units, dropout_rate):
    *first, last = hidden_units
    for n in first:
        x = Drop(dropout_rate)(tf.maximum(Affine(n)(x), 0.0))
    return Drop(dropout_rate)(Affine(last)(x))


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    D = x.shape[-1]
    y = Norm()(x + Drop(dropout_rate)(MultiHeadAttention(num_heads, projection_dim, D, D)(x, x, x)))
    return Norm()(y + mlp(y, transformer_units, dropout_rate))


class PatchExtractor(Layer):
    def __init__(self, patch_size=16, **kwargs):
        super().__init__(**kwargs)
        self.p = patch_size

    def call(self, images):
        p, c = self.p, images.shape[-1]
        strips = tf.reshape(images, (-1, p, images.shape[2], c))  # every p rows are a strip of their own
        squares = tf.reshape(strips, (-1, p, images.shape[2] // p, p * c))
        squares = tf.transpose(squares, (0, 2, 1, 3))
        return tf.reshape(squares, (-1, (images.shape[1] // p) * (images.shape[2] // p), p * p * c))


class PatchEncoder(Layer):
    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        super().__init__(**kwargs)
        self.n, self.D = num_patches, projection_dim
        self.project = Affine(projection_dim)
        self.token = new_variable(1, 1, projection_dim)
        self.E = Embedding(num_patches + 1, projection_dim)

    def call(self, patches):
        B = tf.shape(patches)[0]
        x = self.project(patches)
        x = tf.concat([x, tf.tile(self.token, (B, 1, 1))], axis=1)  # class token last
        return x + tf.tile(self.E(tf.range(self.n + 1))[None], (B, 1, 1))


def create_vit_classifier(
    input_shape=(32, 32, 3), num_classes=10, patch_size=16, embedding_proj_dim=768, num_heads=12, msa_proj_dim=768,
    transformer_layers=12, msa_dropout_rate=0.1, mlp_classification_head_units=(3074,),
    mlp_classification_head_dropout_rate=0.5, data_augmentation=None, activation=tf.nn.relu,
):
    x = image = Input(input_shape)
    if data_augmentation is not None:
        x = data_augmentation(x)
    x = PatchExtractor(patch_size)(x)
    N = x.shape[1]
    x = PatchEncoder(N, embedding_proj_dim)(x)
    for _ in range(transformer_layers):
        x = transformerBlock(x, num_heads, msa_proj_dim, [2 * msa_proj_dim, msa_proj_dim], msa_dropout_rate)
    y = x[:, N]
    for n in mlp_classification_head_units:
        y = Drop(mlp_classification_head_dropout_rate)(activation(Affine(n)(y)))
    return Model(image, Affine(num_classes)(y))
