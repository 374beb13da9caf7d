"""Vision Transformer (ViT) from scratch: the module that you fill in for the lab `vit`.

The parts build on each other, from the bottom up:

    scaled_dot_product_attention -> MultiHeadAttention -> transformerBlock (with mlp)
    PatchExtractor -> PatchEncoder
    create_vit_classifier, which puts all of them together

Work from the top of the file to its end. What you write is marked `YOUR CODE HERE`. Each part has a public
test, which the notebook runs for you. This module imports two that are given: `public_tests.py` holds these
tests, `lab_tools.py` loads data, draws plots and measures. Grading uses the course's own copies of both.

The names of the axes are the same throughout the course:

    batch      images, or sentences, or anything else that is processed together
    queries    tokens that ask             keys       tokens that answer (each has one value)
    tokens     both queries and keys, where a sequence attends to itself
    patches    squares that an image is cut into
    heads      attention heads             head_dim   features of one head
    model_dim  features of one token between the layers
    patch_dim  numbers in one patch: patch_size * patch_size * channels

All layers come from `tf_keras`, here called `keras`. Do not mix in layers of `tf.keras`: a `tf_keras` model
does not see their weights, gives no warning, and never trains them.

References:
    Vaswani et al. (2017), Attention Is All You Need, https://arxiv.org/abs/1706.03762
    Dosovitskiy et al. (2021), An Image is Worth 16x16 Words, https://arxiv.org/abs/2010.11929
"""

import tensorflow as tf
import tf_keras as keras

# Given. The notebook imports these from here.
from lab_tools import (
    attention_of_layers, build_cnn_baseline, choose_profile, footprint_table, load_images, load_photo,
    load_pretrained_vit, load_summariser, make_carbon_tracker, plot_class_token_attention,
    plot_classifier_training_history, plot_footprints, plot_original_and_patched_version,
    plot_position_similarity, plot_predicted_labels, plot_training_examples, position_table, read_footprint,
    save_tiny_t5, save_tiny_vit,
)
from public_tests import (
    test_create_vit_classifier, test_mlp, test_MultiHeadAttention, test_PatchEncoder, test_PatchExtractor,
    test_scaled_dot_product_attention, test_TransformerBlock,
)

# ---------------------------------------------------------------------------------------------------
# Attention
# ---------------------------------------------------------------------------------------------------


def scaled_dot_product_attention(q, k, v):
    """Look up every query among the keys and return a weighted mixture of the values.

    A dot product compares each query with each key. The scores of one query, divided by the square root of
    head_dim, go through a softmax over the keys; the result says how much of each value the query receives.
    There may be any number of leading axes (batch alone, or batch and heads). The number of queries may
    differ from the number of keys, and the width of the values from that of the keys.

    Args:
        q: Queries, float tensor (..., queries, head_dim).
        k: Keys, float tensor (..., keys, head_dim).
        v: Values, float tensor (..., keys, value_dim), one for each key.

    Returns:
        A pair `(output, attention_weights)`: the mixtures of values, (..., queries, value_dim), and the
        weights that mixed them, (..., queries, keys), which are at least 0 and sum to 1 over the keys.

    Reference:
        Vaswani et al. (2017), equation 1.
    """
    ### BEGIN SOLUTION: compute the scaled scores, turn them into weights, and mix the values with them.
    head_dim = tf.cast(tf.shape(q)[-1], q.dtype)
    scores = tf.matmul(q, k, transpose_b=True) / tf.sqrt(head_dim)  # (..., queries, keys)
    attention_weights = tf.nn.softmax(scores, axis=-1)  # (..., queries, keys)
    output = tf.matmul(attention_weights, v)  # (..., queries, value_dim)
    return output, attention_weights
    ### END SOLUTION


@keras.saving.register_keras_serializable(package="vit")
class MultiHeadAttention(keras.layers.Layer):
    """Several attentions side by side, each with its own projections of queries, keys and values.

    Head h projects the queries, keys and values with its own matrices (WQ_h, WK_h, WV_h) and attends. The
    results of all heads are joined along the last axis and projected by WO. There are no biases.

    In this lab every head is `proj_size` wide, and so is the output. (In the paper a head has only model_dim
    / heads features; one of the questions is about that.)

    Args:
        n_heads: Number of heads, at least 1.
        proj_size: Width of each head and of the output (head_dim).
        dk: Number of features of the incoming queries and keys.
        dv: Number of features of the incoming values.
        return_attention_weights: Whether to return the attention weights along with the output.
        **kwargs: Passed on to `keras.layers.Layer`, e.g. `name`.

    Reference:
        Vaswani et al. (2017), section 3.2.2.
    """

    def __init__(self, n_heads, proj_size, dk, dv, return_attention_weights=False, **kwargs):
        """Store the sizes and create the projection weights."""
        super().__init__(**kwargs)
        self.n_heads = n_heads
        self.proj_size = proj_size
        self.dk = dk
        self.dv = dv
        self.return_attention_weights = return_attention_weights
        ### BEGIN SOLUTION: create the weights WQ, WK, WV (all heads of each) and WO, without biases.
        width = n_heads * proj_size
        # The variance 1 / inputs keeps the variance of what comes in: scores of variance 1, as promised. Glorot's
        # also divides by the outputs: it would make the queries of 12 heads 6.5 times too small in variance.
        initial = "lecun_normal"
        self.WQ = self.add_weight(name="WQ", shape=(dk, width), initializer=initial)
        self.WK = self.add_weight(name="WK", shape=(dk, width), initializer=initial)
        self.WV = self.add_weight(name="WV", shape=(dv, width), initializer=initial)
        self.WO = self.add_weight(name="WO", shape=(width, proj_size), initializer=initial)
        ### END SOLUTION

    def call(self, Q, K, V):
        """Attend with all heads at once.

        Args:
            Q: Queries, float tensor (batch, queries, dk).
            K: Keys, float tensor (batch, keys, dk).
            V: Values, float tensor (batch, keys, dv).

        Returns:
            The output, (batch, queries, proj_size). If the layer was made with
            `return_attention_weights=True`: the pair of the output and the weights of all heads,
            (batch, heads, queries, keys).
        """
        ### BEGIN SOLUTION: project and split into heads, attend, merge the heads again, and project with WO.
        # (batch, queries, heads * head_dim)
        merged_shape = (-1, tf.shape(Q)[1], self.n_heads * self.proj_size)

        def project(tokens, weights):
            # One product for all tokens of all images. tf.matmul would take one per image, which is slower.
            return tf.einsum("btf,fw->btw", tokens, weights)  # (batch, tokens, width)

        def split_heads(projected):
            heads_last = tf.reshape(projected, (-1, tf.shape(projected)[1], self.n_heads, self.proj_size))
            return tf.transpose(heads_last, (0, 2, 1, 3))  # (batch, heads, tokens, head_dim)

        queries = split_heads(project(Q, self.WQ))  # (batch, heads, queries, head_dim)
        keys = split_heads(project(K, self.WK))  # (batch, heads, keys, head_dim)
        values = split_heads(project(V, self.WV))  # (batch, heads, keys, head_dim)
        attended, attention_weights = scaled_dot_product_attention(queries, keys, values)
        heads_last = tf.transpose(attended, (0, 2, 1, 3))  # (batch, queries, heads, head_dim)
        output = project(tf.reshape(heads_last, merged_shape), self.WO)  # (batch, queries, head_dim)
        if self.return_attention_weights:
            return output, attention_weights
        return output
        ### END SOLUTION

    def get_config(self):
        """Return the constructor's arguments, so that a saved model can be loaded again."""
        sizes = {"n_heads": self.n_heads, "proj_size": self.proj_size, "dk": self.dk, "dv": self.dv}
        return {**super().get_config(), **sizes, "return_attention_weights": self.return_attention_weights}


# ---------------------------------------------------------------------------------------------------
# The transformer encoder layer
# ---------------------------------------------------------------------------------------------------


def mlp(x, hidden_units, dropout_rate):
    """Pass x through a multi-layer perceptron: for each width a Dense layer, then Dropout.

    Every Dense layer but the last has a non-linearity (GELU, as in the ViT paper, or ReLU). Dense layers act
    on the last axis, so every token goes through the same perceptron on its own.

    Args:
        x: Float tensor (..., features), or the symbolic output of a Keras layer.
        hidden_units: Widths of the Dense layers, in order; at least one.
        dropout_rate: Fraction of the values that each Dropout sets to 0 in training, in [0, 1).

    Returns:
        A float tensor (..., hidden_units[-1]).

    Reference:
        Vaswani et al. (2017), equation 2 (there with ReLU); Dosovitskiy et al. (2021), section 3.1.
    """
    ### BEGIN SOLUTION: apply a Dense layer and a Dropout layer for each width, and return the result.
    last = len(hidden_units) - 1
    for index, units in enumerate(hidden_units):
        x = keras.layers.Dense(units, activation=None if index == last else "gelu")(x)  # (..., units)
        x = keras.layers.Dropout(dropout_rate)(x)
    return x
    ### END SOLUTION


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    """Apply one transformer encoder layer in its original, post-norm form.

    Two sublayers follow each other: self-attention and `mlp`. Both are framed in the same way: dropout on
    the sublayer's output, a residual addition of the sublayer's input, and a layer normalisation of the sum.
    This is a function, not a layer: it is called while a model is built with Keras' functional API.

    Args:
        x: Tokens, (batch, tokens, model_dim).
        num_heads: Number of attention heads.
        projection_dim: Width of each head; equal to model_dim, since the residual adds x to the output.
        transformer_units: Widths of the mlp's layers; the last one equal to model_dim for the same reason.
        dropout_rate: Rate of every dropout in the block, in [0, 1).

    Returns:
        Tokens, (batch, tokens, model_dim).

    Raises:
        ValueError: If projection_dim or the last of transformer_units differs from model_dim.

    Reference:
        Vaswani et al. (2017), section 3.1 and figure 1 (left): LayerNorm(x + Sublayer(x)).
    """
    model_dim = x.shape[-1]
    if projection_dim != model_dim or transformer_units[-1] != model_dim:
        raise ValueError(
            f"transformerBlock: the residuals add tokens of {model_dim} features, so projection_dim and the "
            f"last of transformer_units must be {model_dim} too; got {projection_dim} and "
            f"{transformer_units[-1]}."
        )
    ### BEGIN SOLUTION: build the attention sublayer in its frame, then the mlp sublayer in its frame.
    self_attention = MultiHeadAttention(num_heads, projection_dim, model_dim, model_dim)
    attended = keras.layers.Dropout(dropout_rate)(self_attention(x, x, x))  # (batch, tokens, model_dim)
    x = keras.layers.LayerNormalization(epsilon=1e-6)(keras.layers.Add()([x, attended]))
    transformed = mlp(x, transformer_units, dropout_rate)  # (batch, tokens, model_dim), ends with a Dropout
    return keras.layers.LayerNormalization(epsilon=1e-6)(keras.layers.Add()([x, transformed]))
    ### END SOLUTION


# ---------------------------------------------------------------------------------------------------
# From images to tokens
# ---------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="vit")
class PatchExtractor(keras.layers.Layer):
    """Cut images into square patches that do not overlap, and write each patch as a row of numbers.

    The patches come row by row, from the top left to the bottom right of the image. Inside a patch the
    numbers are ordered by row, then column, then channel. The layer has no weights.

    Args:
        patch_size: Side of a patch in pixels; it must divide the sides of the image.
        **kwargs: Passed on to `keras.layers.Layer`, e.g. `name`.

    Reference:
        Dosovitskiy et al. (2021), section 3.1: x_p of shape (N, P*P*C).
    """

    def __init__(self, patch_size=16, **kwargs):
        """Store the size of a patch."""
        super().__init__(**kwargs)
        self.patch_size = patch_size

    def call(self, images):
        """Cut a batch of images into patches.

        Args:
            images: Tensor (batch, side, side, channels).

        Returns:
            Patches, (batch, patches, patch_dim), where patches = (side / patch_size)**2 and
            patch_dim = patch_size * patch_size * channels; dtype and values are those of the images.

        Raises:
            ValueError: If a side of the images is known and not a multiple of patch_size.
        """
        height, width = images.shape[1:3]  # None where a model leaves a side open
        if any(side is not None and side % self.patch_size for side in (height, width)):
            raise ValueError(
                f"PatchExtractor: images of {height} by {width} pixels cannot be cut into patches of "
                f"{self.patch_size} by {self.patch_size} without a remainder. Choose a patch_size "
                "that divides the sides."
            )
        ### BEGIN SOLUTION: rearrange the pixels so that each patch becomes one row of patch_dim numbers.
        size, channels = self.patch_size, images.shape[3]
        # A side that is not known while the model is built is read from the tensor when it runs.
        rows, columns = (
            (tf.shape(images)[axis] if side is None else side) // size for axis, side in ((1, height), (2, width))
        )
        grid = tf.reshape(images, (-1, rows, size, columns, size, channels))  # both sides cut into pieces
        patches = tf.transpose(grid, (0, 1, 3, 2, 4, 5))  # (batch, rows, columns, size, size, channels)
        return tf.reshape(patches, (-1, rows * columns, size * size * channels))  # (batch, patches, patch_dim)
        ### END SOLUTION

    def get_config(self):
        """Return the constructor's arguments, so that a saved model can be loaded again."""
        return {**super().get_config(), "patch_size": self.patch_size}


@keras.saving.register_keras_serializable(package="vit")
class PatchEncoder(keras.layers.Layer):
    """Turn patches into tokens: project them, put a class token in front, and add positions.

    All patches share the linear projection (with bias). The class token is one learnable vector, the same
    for every image; after the last transformer layer the classifier reads it. The position embedding is a
    learnable table with one row for each token, the class token included, and is added to all tokens.

    Args:
        num_patches: Number of patches in each image.
        projection_dim: Number of features of a token (model_dim).
        **kwargs: Passed on to `keras.layers.Layer`, e.g. `name`.

    Reference:
        Dosovitskiy et al. (2021), equation 1.
    """

    def __init__(self, num_patches=4, projection_dim=768, **kwargs):
        """Store the sizes and create projection, class token and position embedding."""
        super().__init__(**kwargs)
        self.num_patches = num_patches
        self.projection_dim = projection_dim
        ### BEGIN SOLUTION: create the projection, the trainable class token and the position embedding.
        self.projection = keras.layers.Dense(projection_dim)
        self.class_token = self.add_weight(
            name="class_token",
            shape=(1, 1, projection_dim),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
        )
        # Half as large as the projected patches: from Keras' own 0.05 at most, the model takes far longer to use them.
        large = keras.initializers.RandomNormal(stddev=0.5)
        self.position_embedding = keras.layers.Embedding(num_patches + 1, projection_dim, embeddings_initializer=large)
        ### END SOLUTION

    def call(self, patches):
        """Encode a batch of patches.

        Args:
            patches: Float tensor (batch, patches, patch_dim).

        Returns:
            Tokens, (batch, patches + 1, projection_dim), the class token first.
        """
        ### BEGIN SOLUTION: project the patches, put the class token first, add a position to every token.
        projected = self.projection(patches)  # (batch, patches, model_dim)
        class_tokens = tf.tile(self.class_token, (tf.shape(projected)[0], 1, 1))  # (batch, 1, model_dim)
        tokens = tf.concat([class_tokens, projected], axis=1)  # (batch, patches + 1, model_dim)
        positions = self.position_embedding(tf.range(self.num_patches + 1))  # (patches + 1, model_dim)
        return tokens + positions
        ### END SOLUTION

    def get_config(self):
        """Return the constructor's arguments, so that a saved model can be loaded again."""
        sizes = {"num_patches": self.num_patches, "projection_dim": self.projection_dim}
        return {**super().get_config(), **sizes}


# ---------------------------------------------------------------------------------------------------
# The Vision Transformer
# ---------------------------------------------------------------------------------------------------


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
    """Build a Vision Transformer that classifies images.

    The image becomes patches, the patches become tokens, and the tokens pass through `transformer_layers`
    encoder layers. The class token then goes through an `mlp` head and a last Dense layer with one output
    for each class. The outputs are logits: the model has no softmax, the loss applies it. The mlp in each
    encoder layer has the widths [2 * msa_proj_dim, msa_proj_dim].

    Args:
        input_shape: Height, width and channels of an image; patch_size must divide height and width.
        num_classes: Number of classes.
        patch_size: Side of a patch in pixels.
        embedding_proj_dim: Number of features of a token after PatchEncoder (model_dim).
        num_heads: Number of attention heads in each encoder layer.
        msa_proj_dim: Width of each head; equal to embedding_proj_dim because of the residuals.
        transformer_layers: Number of encoder layers; 0 is allowed.
        msa_dropout_rate: Dropout rate in the encoder layers, in [0, 1).
        mlp_classification_head_units: Widths of the mlp that the class token goes through.
        mlp_classification_head_dropout_rate: Dropout rate of that mlp, in [0, 1).
        data_augmentation: Keras layer or model that is applied to the images first, or None.

    Returns:
        A `keras.Model` from images, float (batch, height, width, channels) with pixels in [-1, 1], to logits,
        float (batch, num_classes).

    Raises:
        ValueError: If a side of the images is not given or not a multiple of patch_size, or the two projection
            sizes differ.

    Reference:
        Dosovitskiy et al. (2021), equations 1 to 4, here with post-norm layers.
    """
    if None in input_shape:
        raise ValueError(
            "create_vit_classifier: the table of positions has one row for each patch, so every size of an image "
            f"must be known; got the input_shape {tuple(input_shape)}."
        )
    ### BEGIN SOLUTION: go from the input (augmented, if wanted) to the logits, and return the model.
    inputs = keras.Input(shape=input_shape)
    images = inputs if data_augmentation is None else data_augmentation(inputs)
    patches = PatchExtractor(patch_size)(images)  # (batch, patches, patch_dim)
    tokens = PatchEncoder(patches.shape[1], embedding_proj_dim)(patches)  # (batch, patches + 1, model_dim)
    transformer_units = [2 * msa_proj_dim, msa_proj_dim]
    for _ in range(transformer_layers):
        tokens = transformerBlock(tokens, num_heads, msa_proj_dim, transformer_units, msa_dropout_rate)
    class_token = tokens[:, 0]  # (batch, model_dim)
    features = mlp(class_token, mlp_classification_head_units, mlp_classification_head_dropout_rate)
    # The mlp ends in a linear Dense. Right before another Dense, the two would make one linear map.
    features = keras.layers.Activation("gelu")(features)  # (batch, mlp_classification_head_units[-1])
    # float32 also under mixed precision: float16 logits are too coarse for the softmax in the loss.
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")(features)  # (batch, num_classes)
    return keras.Model(inputs, logits, name="vit")
    ### END SOLUTION
