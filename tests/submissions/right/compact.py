"""The whole lab on one page."""
import numpy as np
import tensorflow as tf
import tf_keras as keras

L, E = keras.layers, tf.einsum


def scaled_dot_product_attention(q, k, v):
    w = tf.nn.softmax(E("...qd,...kd->...qk", q, k) / np.sqrt(q.shape[-1]))
    return E("...qk,...kv->...qv", w, v), w


class MultiHeadAttention(L.Layer):
    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False):
        super().__init__()
        self.flag = return_attention_weights
        make = lambda *shape: self.add_weight(shape=shape, initializer="he_uniform")
        self.wq, self.wk, self.wv = make(n_heads, dk, proj_size), make(n_heads, dk, proj_size), make(n_heads, dv, proj_size)
        self.wo = make(n_heads * proj_size, proj_size)

    def call(self, Q, K, V):
        project = lambda x, w: E("btd,hdp->bhtp", x, w)
        pooled, w = scaled_dot_product_attention(project(Q, self.wq), project(K, self.wk), project(V, self.wv))
        pooled = E("bhtp->bthp", pooled)
        joined = tf.reshape(pooled, [tf.shape(Q)[0], tf.shape(Q)[1], self.wo.shape[0]])
        out = joined @ self.wo
        return (out, w) if self.flag else out


def mlp(x, hidden_units, dropout_rate):
    for width in hidden_units:
        x = L.Dropout(dropout_rate)(L.Dense(width, "gelu")(x))
    return x


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    seen = MultiHeadAttention(num_heads, projection_dim, projection_dim, projection_dim)(x, x, x)
    x = L.LayerNormalization()(x + L.Dropout(dropout_rate)(seen))
    thought = mlp(x, transformer_units, dropout_rate)
    return L.LayerNormalization()(x + L.Dropout(dropout_rate)(thought))


class PatchExtractor(L.Layer):
    def __init__(self, patch_size=16):
        super().__init__()
        self.patch_size = patch_size

    def call(self, images):
        step = [1, self.patch_size, self.patch_size, 1]
        patches = tf.image.extract_patches(images, step, step, [1, 1, 1, 1], "VALID")
        return tf.reshape(patches, [tf.shape(images)[0], patches.shape[1] * patches.shape[2], patches.shape[3]])


class PatchEncoder(L.Layer):
    def __init__(self, num_patches=4, projection_dim=768):
        super().__init__()
        self.count = num_patches + 1
        self.project = L.Dense(projection_dim)
        self.places = L.Embedding(self.count, projection_dim)
        self.token = self.add_weight(shape=(1, 1, projection_dim))

    def call(self, patches):
        token = tf.tile(self.token, [tf.shape(patches)[0], 1, 1])
        return tf.concat([token, self.project(patches)], 1) + self.places(tf.range(self.count))


def create_vit_classifier(input_shape=(32, 32, 3), num_classes=10, patch_size=16, embedding_proj_dim=768, num_heads=12,
                          msa_proj_dim=768, transformer_layers=12, msa_dropout_rate=0.1,
                          mlp_classification_head_units=(3074,), mlp_classification_head_dropout_rate=0.5,
                          data_augmentation=None):
    image = keras.Input(input_shape)
    x = PatchExtractor(patch_size)(data_augmentation(image) if data_augmentation else image)
    x = PatchEncoder(x.shape[1], embedding_proj_dim)(x)
    for _ in range(transformer_layers):
        x = transformerBlock(x, num_heads, msa_proj_dim, [2 * msa_proj_dim, msa_proj_dim], msa_dropout_rate)
    x = mlp(x[:, 0], mlp_classification_head_units, mlp_classification_head_dropout_rate)
    return keras.Model(image, L.Dense(num_classes)(x))
