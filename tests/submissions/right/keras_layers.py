"""Vision transformer out of ready-made Keras layers, wherever there is one."""

import tensorflow as tf
import tf_keras as keras
from tf_keras import layers as kl


def scaled_dot_product_attention(q, k, v):
    """Keras' Attention does not scale, so the queries come scaled. Mind its order: query, value, key."""
    q = kl.Rescaling(1.0 / float(q.shape[-1]) ** 0.5)(q)
    output, attention_weights = kl.Attention()([q, v, k], return_attention_scores=True)
    return output, attention_weights


class MultiHeadAttention(kl.Layer):
    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, **kwargs):
        super().__init__(**kwargs)
        self.return_attention_weights = return_attention_weights
        self.mha = kl.MultiHeadAttention(
            num_heads=n_heads, key_dim=proj_size, value_dim=proj_size, output_shape=proj_size, use_bias=False
        )

    def call(self, Q, K, V):
        return self.mha(
            query=Q, key=K, value=V, return_attention_scores=self.return_attention_weights
        )


def mlp(x, hidden_units, dropout_rate):
    for units in hidden_units[:-1]:
        x = kl.Dense(units)(x)
        x = kl.ReLU()(x)
        x = kl.Dropout(dropout_rate)(x)
    x = kl.Dense(hidden_units[-1])(x)
    return kl.Dropout(dropout_rate)(x)


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    attention = MultiHeadAttention(num_heads, projection_dim, x.shape[-1], x.shape[-1])(x, x, x)
    attention = kl.Dropout(dropout_rate)(attention)
    x = kl.LayerNormalization(epsilon=1e-3)(kl.Add()([x, attention]))
    feed_forward = mlp(x, transformer_units, dropout_rate)
    return kl.LayerNormalization(epsilon=1e-3)(kl.Add()([x, feed_forward]))


class PatchExtractor(kl.Layer):
    def __init__(self, patch_size=16, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def build(self, input_shape):
        _, height, width, channels = input_shape
        p = self.patch_size
        rows, columns = height // p, width // p
        self.steps = [
            kl.Reshape((rows, p, columns, p * channels)),
            kl.Permute((1, 3, 2, 4)),
            kl.Reshape((rows * columns, p * p * channels)),
        ]
        super().build(input_shape)

    def call(self, images):
        x = images
        for step in self.steps:
            x = step(x)
        return x


class PatchEncoder(kl.Layer):
    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        super().__init__(**kwargs)
        self.projection = kl.TimeDistributed(kl.Dense(projection_dim))
        self.class_token = kl.Embedding(input_dim=1, output_dim=projection_dim)
        self.position_embedding = kl.Embedding(input_dim=num_patches + 1, output_dim=projection_dim)
        self.join = kl.Concatenate(axis=1)
        self.num_patches = num_patches

    def call(self, patches):
        batch_size = tf.shape(patches)[0]
        token = self.class_token(tf.zeros((batch_size, 1), dtype=tf.int32))
        tokens = self.join([token, self.projection(patches)])
        indices = tf.broadcast_to(tf.range(self.num_patches + 1), (batch_size, self.num_patches + 1))
        return kl.Add()([tokens, self.position_embedding(indices)])


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
    image = kl.Input(shape=input_shape)
    x = data_augmentation(image) if data_augmentation is not None else image
    x = PatchExtractor(patch_size=patch_size)(x)
    x = PatchEncoder(num_patches=x.shape[1], projection_dim=embedding_proj_dim)(x)
    for _ in range(transformer_layers):
        x = transformerBlock(
            x, num_heads, msa_proj_dim, [2 * msa_proj_dim, msa_proj_dim], dropout_rate=msa_dropout_rate
        )
    class_token = kl.Lambda(lambda t: t[:, 0], name="class_token")(x)
    features = mlp(class_token, mlp_classification_head_units, mlp_classification_head_dropout_rate)
    logits = kl.Dense(num_classes)(kl.ReLU()(features))
    return keras.models.Model(inputs=[image], outputs=[logits])
