"""utilities.py of our group. Whatever is a chain is a keras.Sequential."""

import tensorflow as tf
import tf_keras as keras

layers = keras.layers


def scaled_dot_product_attention(q, k, v):
    d_k = tf.cast(tf.shape(k)[-1], tf.float32)
    scores = tf.linalg.matmul(q, k, adjoint_b=True) / tf.pow(d_k, 0.5)
    attention_weights = keras.activations.softmax(scores, axis=-1)
    return tf.linalg.matmul(attention_weights, v), attention_weights


class MultiHeadAttention(layers.Layer):
    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, name=None):
        super().__init__(name=name)
        self.with_weights = return_attention_weights
        # b batch, t tokens, d features in, h heads, p features of a head, o features out
        self.query_proj = layers.EinsumDense("btd,dhp->bhtp", output_shape=(n_heads, None, proj_size))
        self.key_proj = layers.EinsumDense("btd,dhp->bhtp", output_shape=(n_heads, None, proj_size))
        self.value_proj = layers.EinsumDense("btd,dhp->bhtp", output_shape=(n_heads, None, proj_size))
        self.output_proj = layers.EinsumDense("bhtp,hpo->bto", output_shape=(None, proj_size))

    def call(self, Q, K, V):
        context, attention_weights = scaled_dot_product_attention(
            self.query_proj(Q), self.key_proj(K), self.value_proj(V)
        )
        output = self.output_proj(context)
        return (output, attention_weights) if self.with_weights else output


def perceptron(hidden_units, dropout_rate, name=None):
    """Return the layers of the mlp, not yet connected to anything."""
    model = keras.Sequential(name=name)
    for units in hidden_units[:-1]:
        model.add(layers.Dense(units, activation="relu"))
        model.add(layers.Dropout(dropout_rate))
    model.add(layers.Dense(hidden_units[-1]))
    return model


def mlp(x, hidden_units, dropout_rate):
    return perceptron(hidden_units, dropout_rate)(x)


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    attention = MultiHeadAttention(num_heads, projection_dim, projection_dim, projection_dim)
    feed_forward = perceptron(transformer_units, dropout_rate)
    feed_forward.add(layers.Dropout(dropout_rate))

    attended = layers.Dropout(dropout_rate)(attention(x, x, x))
    x = keras.Sequential([layers.Add(), layers.LayerNormalization(epsilon=1e-6)])([x, attended])
    return keras.Sequential([layers.Add(), layers.LayerNormalization(epsilon=1e-6)])([x, feed_forward(x)])


class PatchExtractor(layers.Layer):
    """A convolution whose kernel is an identity matrix: every output channel is one number of the patch."""

    def __init__(self, patch_size=16, **kwargs):
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def build(self, input_shape):
        side, channels = self.patch_size, input_shape[-1]
        self.numbers = side * side * channels
        self.kernel = tf.reshape(tf.eye(self.numbers), (side, side, channels, self.numbers))
        super().build(input_shape)

    def call(self, images):
        images = tf.cast(images, tf.float32)
        grid = tf.nn.conv2d(images, self.kernel, strides=self.patch_size, padding="VALID")
        return tf.reshape(grid, (-1, grid.shape[1] * grid.shape[2], self.numbers))


class PatchEncoder(layers.Layer):
    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        super().__init__(**kwargs)
        # a convolution over single patches is a linear projection of each
        self.projection = layers.Conv1D(projection_dim, kernel_size=1)
        self.class_embedding = layers.Embedding(1, projection_dim)
        self.position_embedding = layers.Embedding(num_patches + 1, projection_dim)
        self.num_patches = num_patches

    def call(self, patches):
        projected = self.projection(patches)
        cls = self.class_embedding(tf.zeros_like(patches[:, :1, 0], dtype=tf.int32))  # (batch, 1, projection_dim)
        tokens = layers.concatenate([cls, projected], axis=1)
        positions = tf.range(self.num_patches + 1)[tf.newaxis]
        return layers.add([tokens, tf.repeat(self.position_embedding(positions), tf.shape(tokens)[0], axis=0)])


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
    num_patches = (input_shape[0] // patch_size) * (input_shape[1] // patch_size)
    embed = keras.Sequential(name="embed")
    if data_augmentation is not None:
        embed.add(data_augmentation)
    embed.add(PatchExtractor(patch_size))
    embed.add(PatchEncoder(num_patches, embedding_proj_dim))

    head = perceptron(mlp_classification_head_units, mlp_classification_head_dropout_rate, name="head")
    head.add(layers.Activation("relu"))
    head.add(layers.Dropout(mlp_classification_head_dropout_rate))
    head.add(layers.Dense(num_classes))

    inputs = keras.Input(shape=input_shape)
    x = embed(inputs)
    for _ in range(transformer_layers):
        x = transformerBlock(x, num_heads, msa_proj_dim, (2 * msa_proj_dim, msa_proj_dim), msa_dropout_rate)
    return keras.Model(inputs, head(x[:, 0]))
