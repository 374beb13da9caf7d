"""Vision Transformer (ViT) from scratch: the module that you fill in for the lab `vit`.

The parts build on each other, from the bottom up:

    scaled_dot_product_attention -> MultiHeadAttention -> transformerBlock (with mlp)
    PatchExtractor -> PatchEncoder
    create_vit_classifier, which puts all of them together

Work from the top of the file to its end. Each part that is yours is marked `YOUR CODE HERE`; each has a
public test at the end of the file, which the notebook calls for you.

The names of the axes are the same in the whole course:

    batch      images, or sentences, or anything else that is processed at the same time
    queries    tokens that ask             keys       tokens that answer (each has one value)
    tokens     queries and keys at once, where a sequence attends to itself
    patches    squares that an image is cut into
    heads      attention heads             head_dim   features of one head
    model_dim  features of one token between the layers
    patch_dim  numbers in one patch: patch_size * patch_size * channels

All layers come from `tf_keras`, here called `keras`. Do not mix in layers of `tf.keras`: a `tf_keras` model
does not see their weights, says nothing about it, and never trains them.

References:
    Vaswani et al. (2017), Attention Is All You Need, https://arxiv.org/abs/1706.03762
    Dosovitskiy et al. (2021), An Image is Worth 16x16 Words, https://arxiv.org/abs/2010.11929
"""

import contextlib
import io
import itertools
import os
import socket
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

# ---------------------------------------------------------------------------------------------------
# Attention
# ---------------------------------------------------------------------------------------------------


def scaled_dot_product_attention(q, k, v):
    """Look up every query among the keys and return the matching mixture of values.

    Each query is compared with each key by a dot product. The scores of one query, divided by the square root
    of head_dim, go through a softmax over the keys; the result says how much of each value the query
    receives. Any number of leading axes is allowed (batch alone, or batch and heads), as is a number of
    queries that differs from the number of keys, and values whose width differs from that of the keys.

    Args:
        q: Queries, float tensor (..., queries, head_dim).
        k: Keys, float tensor (..., keys, head_dim).
        v: Values, float tensor (..., keys, value_dim), one for each key.

    Returns:
        A pair `(output, attention_weights)`: the mixtures of values, (..., queries, value_dim), and the
        weights that mixed them, (..., queries, keys), which are not negative and sum to 1 over the keys.

    Reference:
        Vaswani et al. (2017), equation 1.
    """
    # YOUR CODE HERE: compute the scaled scores, turn them into weights, and mix the values with them.
    raise NotImplementedError(
        "scaled_dot_product_attention is not written yet: compute the scaled scores, turn them into weights, "
        "and mix the values with them."
    )


@keras.saving.register_keras_serializable(package="vit")
class MultiHeadAttention(keras.layers.Layer):
    """Several attentions side by side, each with its own projection of queries, keys and values.

    Head h projects the queries, keys and values with matrices of its own (WQ_h, WK_h, WV_h), attends, and the
    results of all heads, one after the other along the last axis, are projected back by WO. There are no
    biases.

    In this lab every head is `proj_size` wide, and so is the output. (In the paper a head has only model_dim
    / heads features; one of the questions is about that.)

    Args:
        n_heads: Number of heads, at least 1.
        proj_size: Width of each head and of the output (head_dim).
        dk: Number of features of the queries and keys that come in.
        dv: Number of features of the values that come in.
        return_attention_weights: Whether to return the attention weights beside the output.
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
        # YOUR CODE HERE: create the weights WQ, WK, WV (all heads of each) and WO, without biases.
        raise NotImplementedError(
            "MultiHeadAttention.__init__ is not written yet: create the weights WQ, WK, WV (all heads of "
            "each) and WO, without biases."
        )

    def call(self, Q, K, V):
        """Attend with all heads at once.

        Args:
            Q: Queries, float tensor (batch, queries, dk).
            K: Keys, float tensor (batch, keys, dk).
            V: Values, float tensor (batch, keys, dv).

        Returns:
            The output, (batch, queries, proj_size). If the layer was made with
            `return_attention_weights=True`, the pair of the output and the weights of all heads, (batch,
            heads, queries, keys).
        """
        # YOUR CODE HERE: project and split into heads, attend, merge the heads again, and project with WO.
        raise NotImplementedError(
            "MultiHeadAttention.call is not written yet: project and split into heads, attend, merge the "
            "heads again, and project with WO."
        )

    def get_config(self):
        """Return the constructor's arguments, so that a saved model can be loaded again."""
        sizes = {"n_heads": self.n_heads, "proj_size": self.proj_size, "dk": self.dk, "dv": self.dv}
        return {**super().get_config(), **sizes, "return_attention_weights": self.return_attention_weights}


# ---------------------------------------------------------------------------------------------------
# The transformer encoder layer
# ---------------------------------------------------------------------------------------------------


def mlp(x, hidden_units, dropout_rate):
    """Pass x through a multi-layer perceptron: for each width a Dense layer, then Dropout.

    Every Dense layer but the last has a non-linearity (GELU, as in the ViT paper, or ReLU). Dense layers work
    on the last axis, so each token goes through the same perceptron, on its own.

    Args:
        x: Float tensor (..., features), or what a Keras layer returned for a symbolic input.
        hidden_units: Widths of the Dense layers, in order; at least one.
        dropout_rate: Part of the values that each Dropout sets to 0 in training, in [0, 1).

    Returns:
        A float tensor (..., hidden_units[-1]).

    Reference:
        Vaswani et al. (2017), equation 2 (there with ReLU); Dosovitskiy et al. (2021), section 3.1.
    """
    # YOUR CODE HERE: apply a Dense layer and a Dropout layer for each width, and return the result.
    raise NotImplementedError(
        "mlp is not written yet: apply a Dense layer and a Dropout layer for each width, and return the "
        "result."
    )


def transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1):
    """Apply one transformer encoder layer in its original, post-norm form.

    Two sublayers, self-attention and `mlp`, follow each other. Around each of them there is the same frame:
    dropout on what the sublayer returns, a residual addition of what the sublayer was given, and then a layer
    normalisation of the sum. This is a function, not a layer: call it while you build a model with
    Keras' functional API.

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
            f"last of transformer_units must be {model_dim}, too; got {projection_dim} and "
            f"{transformer_units[-1]}."
        )
    # YOUR CODE HERE: build the attention sublayer in its frame, then the mlp sublayer in its frame.
    raise NotImplementedError(
        "transformerBlock is not written yet: build the attention sublayer in its frame, then the mlp "
        "sublayer in its frame."
    )


# ---------------------------------------------------------------------------------------------------
# From images to tokens
# ---------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="vit")
class PatchExtractor(keras.layers.Layer):
    """Cut images into square patches that do not overlap, and write each patch as a row of numbers.

    The patches come row by row, from the top left to the bottom right of the image. Inside a patch the
    numbers come by row, then column, then channel. The layer has no weights.

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
            ValueError: If a side of the images is not a multiple of patch_size.
        """
        height, width = images.shape[1:3]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"PatchExtractor: images of {height} by {width} pixels cannot be cut into patches of "
                f"{self.patch_size} by {self.patch_size} without a remainder. Choose a patch_size "
                "that divides the sides."
            )
        # YOUR CODE HERE: rearrange the pixels so that each patch becomes one row of patch_dim numbers.
        raise NotImplementedError(
            "PatchExtractor.call is not written yet: rearrange the pixels so that each patch becomes one row "
            "of patch_dim numbers."
        )

    def get_config(self):
        """Return the constructor's arguments, so that a saved model can be loaded again."""
        return {**super().get_config(), "patch_size": self.patch_size}


@keras.saving.register_keras_serializable(package="vit")
class PatchEncoder(keras.layers.Layer):
    """Turn patches into tokens: project them, put a class token in front, and add positions.

    The linear projection (with bias) is shared by all patches. The class token is one learnable vector, the
    same for every image; after the last transformer layer it holds what the classifier reads. The position
    embedding is a learnable table with one row for each token, the class token included, and is added to all
    tokens.

    Args:
        num_patches: Number of patches that come in for each image.
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
        # YOUR CODE HERE: create the projection, the trainable class token and the position embedding.
        raise NotImplementedError(
            "PatchEncoder.__init__ is not written yet: create the projection, the trainable class token and "
            "the position embedding."
        )

    def call(self, patches):
        """Encode a batch of patches.

        Args:
            patches: Float tensor (batch, patches, patch_dim).

        Returns:
            Tokens, (batch, patches + 1, projection_dim), the class token first.
        """
        # YOUR CODE HERE: project the patches, put the class token first, add a position to every token.
        raise NotImplementedError(
            "PatchEncoder.call is not written yet: project the patches, put the class token first, add a "
            "position to every token."
        )

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

    Image, patches, tokens, `transformer_layers` encoder layers, class token, `mlp` head, and a last Dense
    layer with one output for each class. The outputs are logits: there is no softmax in the model, the loss
    applies it. The mlp in each encoder layer has the widths [2 * msa_proj_dim, msa_proj_dim].

    Args:
        input_shape: Height, width and channels of an image; patch_size must divide height and width.
        num_classes: Number of classes.
        patch_size: Side of a patch in pixels.
        embedding_proj_dim: Number of features of a token after PatchEncoder (model_dim).
        num_heads: Number of attention heads in each encoder layer.
        msa_proj_dim: Width of each head; equal to embedding_proj_dim because of the residuals.
        transformer_layers: Number of encoder layers; 0 is allowed.
        msa_dropout_rate: Dropout rate in the encoder layers, in [0, 1).
        mlp_classification_head_units: Widths of the mlp that the class token goes through at the end.
        mlp_classification_head_dropout_rate: Dropout rate of that mlp, in [0, 1).
        data_augmentation: Keras layer or model applied to the images first, or None.

    Returns:
        A `keras.Model` from images, float (batch, height, width, channels) with pixels in [-1, 1], to logits,
        float (batch, num_classes).

    Raises:
        ValueError: If patch_size does not divide the sides, or the two projection sizes differ.

    Reference:
        Dosovitskiy et al. (2021), equations 1 to 4, here with post-norm layers.
    """
    # YOUR CODE HERE: go from the input (augmented, if wanted) to the logits, and return the model.
    raise NotImplementedError(
        "create_vit_classifier is not written yet: go from the input (augmented, if wanted) to the logits, "
        "and return the model."
    )


# ---------------------------------------------------------------------------------------------------
# Profile and data: given, nothing to fill in from here on
# ---------------------------------------------------------------------------------------------------

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def choose_profile():
    """Choose how large this run of the notebook is, print the choice, and say why.

    The environment variable VIT_PROFILE decides, if it is set. Otherwise it is `"full"` where there is a GPU
    and CIFAR-10 has been downloaded, and `"quick"` everywhere else.

    Returns:
        `"quick"` or `"full"`.

    Raises:
        ValueError: If VIT_PROFILE is neither of the two.
    """
    wanted = os.environ.get("VIT_PROFILE")
    if wanted:
        if wanted not in ("quick", "full"):
            raise ValueError(f"choose_profile: VIT_PROFILE must be 'quick' or 'full', got {wanted!r}.")
        print(f"Profile {wanted!r}, as the environment variable VIT_PROFILE says.")
        return wanted
    gpus = len(tf.config.list_physical_devices("GPU"))
    keras_home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    data = any((keras_home / "datasets").glob("cifar-10-*"))
    needed = {"no GPU": gpus, "no CIFAR-10 in the Keras folder": data}
    missing = [what for what, there in needed.items() if not there]
    if missing:
        print(f"Profile 'quick': {' and '.join(missing)}. Digits and a small model, minutes on a laptop.")
        return "quick"
    print(f"Profile 'full': {gpus} GPU(s) and CIFAR-10 found.")
    return "full"


def load_images(dataset="digits", n_train=10_000, n_test=2_000, seed=0):
    """Load small colour images with their labels.

    `"cifar10"` gives the first n_train training and the first n_test test images of CIFAR-10 (at most 50,000
    and 10,000); Keras downloads them once, about 170 MB. `"digits"` gives handwritten digits that come with
    scikit-learn, enlarged from 8 by 8 grey values to 32 by 32 pixels with three equal channels; it needs no
    network. There are only 1797 digits. Where fewer exist than were asked for, all of them are used, split in
    the proportion n_train : n_test.

    Args:
        dataset: `"cifar10"` or `"digits"`.
        n_train: Number of training images, at least 1.
        n_test: Number of test images, at least 1.
        seed: Decides the order in which the digits are shuffled; CIFAR-10 keeps its own order.

    Returns:
        `(X_train, Y_train), (X_test, Y_test), class_names`: images, uint8 (n, 32, 32, 3) in [0, 255]; labels,
        int64 (n,); and a list with the name of each class.

    Raises:
        ValueError: If the dataset is not known, or n_train or n_test is below 1.
        RuntimeError: If CIFAR-10 is neither on this machine nor can be downloaded.
    """
    if min(n_train, n_test) < 1:
        raise ValueError(f"load_images: n_train and n_test must be at least 1, got {n_train} and {n_test}.")
    if dataset == "cifar10":
        return _load_cifar10(n_train, n_test)
    if dataset == "digits":
        return _load_digits(n_train, n_test, seed)
    raise ValueError(f"load_images: unknown dataset {dataset!r}. Known are 'cifar10' and 'digits'.")


def _load_cifar10(n_train, n_test):
    """Return the first images of CIFAR-10, in the form `load_images` describes."""
    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
    except Exception as error:  # a failed download is a plain Exception in Keras
        raise RuntimeError(
            "load_images: CIFAR-10 could not be downloaded. Fetch cifar-10-python.tar.gz from "
            "https://www.cs.toronto.edu/~kriz/cifar.html and put it, named cifar-10-batches-py.tar.gz, into "
            'the folder datasets of your Keras folder (~/.keras/datasets), or use dataset="digits", which '
            "works offline."
        ) from error
    train = x_train[:n_train], y_train[:n_train].reshape(-1).astype("int64")
    test = x_test[:n_test], y_test[:n_test].reshape(-1).astype("int64")
    return train, test, list(CIFAR10_CLASSES)


def _load_digits(n_train, n_test, seed):
    """Return shuffled and enlarged digits, in the form `load_images` describes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    available = len(digits.images)
    if n_train + n_test > available:
        n_train = min(max(1, round(available * n_train / (n_train + n_test))), available - 1)
        n_test = available - n_train
    order = np.random.default_rng(seed).permutation(available)[: n_train + n_test]
    grey = np.rint(digits.images[order] * (255 / 16)).astype("uint8")  # (n, 8, 8)
    enlarged = grey.repeat(4, axis=1).repeat(4, axis=2)  # (n, 32, 32)
    images = np.stack([enlarged] * 3, axis=-1)  # (n, 32, 32, 3)
    labels = digits.target[order].astype("int64")
    train, test = (images[:n_train], labels[:n_train]), (images[n_train:], labels[n_train:])
    return train, test, [str(name) for name in digits.target_names]


# ---------------------------------------------------------------------------------------------------
# Plots: given
# ---------------------------------------------------------------------------------------------------


def plot_training_examples(X, Y, classes):
    """Show the first images of every class, one column for each class.

    Args:
        X: Images, (n, side, side, channels) with 1 or 3 channels; uint8, or floats in [-1, 1] or [0, 1].
        Y: Integer labels, (n,).
        classes: Names of the classes, in the order of the labels.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    images, labels, examples = _as_displayable(X), np.asarray(Y).reshape(-1), 4
    figure, axes = plt.subplots(
        examples, len(classes), figsize=(1.2 * len(classes), 1.3 * examples), squeeze=False
    )
    for label, name in enumerate(classes):
        members = np.flatnonzero(labels == label)
        axes[0, label].set_title(f"{name}\n({len(members)})", fontsize=9)
        for row in range(examples):
            axes[row, label].axis("off")
            if row < len(members):
                axes[row, label].imshow(images[members[row]])
    figure.suptitle("First images of each class (number of images)")
    figure.tight_layout()
    return figure


def plot_original_and_patched_version(image, patches, patch_size):
    """Show an image beside the patches that were cut from it.

    Args:
        image: One image, (side, side, channels), or a batch of one; uint8, or floats in [-1, 1] or [0, 1].
        patches: Its patches, (patches, patch_dim), or a batch of one, with values like those of the image.
        patch_size: Side of a patch in pixels.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    image, patches = np.asarray(image), np.asarray(patches)
    image = image[0] if image.ndim == 4 else image
    patches = patches[0] if patches.ndim == 3 else patches
    columns = image.shape[1] // patch_size
    squares = _as_displayable(
        patches.reshape(len(patches), patch_size, patch_size, image.shape[-1]), like=image
    )

    figure = plt.figure(figsize=(10, 5))
    left, right = figure.subfigures(1, 2)
    original = left.subplots()
    original.imshow(_as_displayable(image))
    original.set(xlabel="column (pixels)", ylabel="row (pixels)")
    left.suptitle(f"Image of {image.shape[0]} by {image.shape[1]} pixels")
    places = right.subplots(-(-len(patches) // columns), columns, squeeze=False).reshape(-1)
    for number, place in enumerate(places):
        place.axis("off")
        if number < len(squares):
            place.imshow(squares[number])
            if len(squares) <= 64:
                place.set_title(str(number), fontsize=7, pad=2)
    right.suptitle(f"{len(patches)} patches of {patch_size} by {patch_size} pixels, in order")
    return figure


def plot_classifier_training_history(history):
    """Show loss and accuracy over the epochs, for training and validation.

    Args:
        history: What `model.fit` returned, or its dictionary `history.history`.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    records = getattr(history, "history", history)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    units = {"loss": "cross-entropy (nats)", "accuracy": "accuracy (part of the images)"}
    for axis, (name, unit) in zip(axes, units.items(), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            values = records.get(key, [])
            axis.plot(range(1, len(values) + 1), values, marker=".", label=label)
        axis.set(title=name.capitalize(), xlabel="epoch", ylabel=unit)
        axis.grid(alpha=0.3)
        axis.legend()
    if records.get("val_accuracy"):
        best = int(np.argmax(records["val_accuracy"]))
        axes[1].axvline(best + 1, color="grey", linestyle=":", label=f"best epoch ({best + 1})")
        axes[1].legend()
    figure.tight_layout()
    return figure


def _as_displayable(images, like=None):
    """Return images as Matplotlib shows them: uint8 or floats in [0, 1], three channels.

    Floats are taken to lie in [-1, 1] if any of them is negative. `like` are the pixels that decide this in
    place of the images themselves.
    """
    images = np.asarray(images)
    reference = images if like is None else np.asarray(like)
    if images.dtype != np.uint8:
        images = images.astype("float64")
        if reference.max() > 1:
            images = images / 255
        elif reference.min() < 0:
            images = (images + 1) / 2
        images = np.clip(images, 0, 1)
    return images.repeat(3, axis=-1) if images.shape[-1] == 1 else images


# ---------------------------------------------------------------------------------------------------
# A look inside a trained model: given
# ---------------------------------------------------------------------------------------------------


def attention_of_layers(model, images):
    """Return the attention weights of every encoder layer of a model, as your layers compute them.

    Args:
        model: A `keras.Model` made with `create_vit_classifier`.
        images: Float tensor (batch, side, side, channels), prepared like the training images.

    Returns:
        A list with an array (batch, heads, tokens, tokens) for each layer, from the first to the last. Where
        your `MultiHeadAttention` returns the mean over the heads, the arrays have one head.

    Raises:
        ValueError: If the model has no layer of the class `MultiHeadAttention`, or one returns no weights.
    """
    layers = [layer for layer in model.layers if isinstance(layer, MultiHeadAttention)]
    if not layers:
        raise ValueError("attention_of_layers: there is no MultiHeadAttention layer in this model.")
    before = [tf.nest.flatten(layer.input)[0] for layer in layers]
    tokens_of_layers = tf.nest.flatten(keras.Model(model.input, before)(images, training=False))
    weights = [_attention_of(layer, tokens) for layer, tokens in zip(layers, tokens_of_layers, strict=True)]
    return [one if one.ndim == 4 else one[:, None] for one in weights]


def _attention_of(layer, tokens):
    """Return the attention weights of one layer for tokens that attend to themselves."""
    flags = [name for name, value in vars(layer).items() if value is False and "return" in name]
    for name in flags:
        setattr(layer, name, True)
    try:
        answer = layer(tokens, tokens, tokens)
    finally:
        for name in flags:
            setattr(layer, name, False)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise ValueError(
            "attention_of_layers: with return_attention_weights=True, MultiHeadAttention must return the "
            "pair (output, weights)."
        )
    return np.asarray(answer[1])


def plot_class_token_attention(model, images, class_token=0):
    """Show where the class token looks: for each image and encoder layer, the mean over the heads.

    Args:
        model: See `attention_of_layers`.
        images: A few images, prepared like the training images.
        class_token: Place of the class token among the tokens: 0 if it stands first, -1 if it stands last.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    maps = [_rows_of_class_token(weights, class_token) for weights in attention_of_layers(model, images)]
    columns = 1 + len(maps)
    figure, axes = plt.subplots(
        len(images), columns, figsize=(2 * columns, 2.1 * len(images)), squeeze=False, layout="constrained"
    )
    for row, image in enumerate(_as_displayable(images)):
        axes[row, 0].imshow(image)
        for layer, attention in enumerate(maps, start=1):
            shown = axes[row, layer].imshow(attention[row], cmap="magma", vmin=0)
            figure.colorbar(shown, ax=axes[row, layer], shrink=0.7)
    for axis in axes.flat:
        axis.axis("off")
    for column, title in enumerate(["image", *(f"layer {number + 1}" for number in range(len(maps)))]):
        axes[0, column].set_title(title)
    figure.suptitle("Attention of the class token to the patches (mean over the heads)")
    return figure


def _rows_of_class_token(weights, class_token):
    """Return how much the class token attends to each patch, as laid out in the image: (batch, rows, columns)."""
    row = weights.mean(axis=1)[:, class_token]  # (batch, tokens)
    patches = np.delete(row, class_token, axis=1)  # (batch, patches)
    side = round(patches.shape[1] ** 0.5)
    return patches.reshape(len(patches), side, side)


def plot_position_similarity(model, class_token=0):
    """Show how alike the learned position embeddings are: one small map for each patch.

    The map of a patch holds the cosine similarity between its position embedding and those of all patches.

    Args:
        model: A `keras.Model` made with `create_vit_classifier`.
        class_token: Place of the class token among the tokens: 0 if it stands first, -1 if it stands last.

    Returns:
        The Matplotlib figure.

    Raises:
        ValueError: If no table of positions is found in the model's `PatchEncoder`.
    """
    import matplotlib.pyplot as plt

    positions = np.delete(_position_table(model), class_token, axis=0)  # (patches, model_dim)
    unit = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    side = round(len(unit) ** 0.5)
    similarity = (unit @ unit.T).reshape(side, side, side, side)
    figure, axes = plt.subplots(side, side, figsize=(6.6, 6), squeeze=False, layout="constrained")
    for row, column in itertools.product(range(side), repeat=2):
        shown = axes[row, column].imshow(similarity[row, column], vmin=-1, vmax=1, cmap="RdBu_r")
        axes[row, column].set(xticks=[], yticks=[])
    for number in range(side):
        axes[-1, number].set_xlabel(f"column {number + 1}", fontsize=8)
        axes[number, 0].set_ylabel(f"row {number + 1}", fontsize=8)
    figure.colorbar(shown, ax=axes, shrink=0.8, label="cosine similarity")
    figure.suptitle("Similarity of each patch's position embedding to all others")
    return figure


def _position_table(model):
    """Return the position embeddings of a model's PatchEncoder, (tokens, model_dim)."""
    for layer in model.layers:
        if isinstance(layer, PatchEncoder):
            tokens, width = layer.output.shape[1:]
            for weight in layer.weights:
                if tuple(weight.shape) in ((tokens, width), (1, tokens, width)):
                    return np.asarray(weight).reshape(tokens, width)
    raise ValueError("plot_position_similarity: the model has no PatchEncoder with a table of positions.")


# ---------------------------------------------------------------------------------------------------
# Carbon footprint: given
# ---------------------------------------------------------------------------------------------------

ASSUMED_WATTS = 45.0
"""Power of a laptop's processor at work, in watts. Used only where no power meter can be read."""


def build_cnn_baseline(input_shape=(32, 32, 3), num_classes=10):
    """Build a small convolutional network to compare the Vision Transformer with.

    Three stages of convolution and pooling, as in many CNN labs, then a Dense layer with dropout.

    Args:
        input_shape: Height, width and channels of an image; height and width at least 8.
        num_classes: Number of classes.

    Returns:
        A `keras.Model` from images, float (batch, height, width, channels), to logits, (batch, num_classes).
    """
    stages = []
    for filters in (32, 64, 128):
        stages += [
            keras.layers.Conv2D(filters, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
        ]
    head = [
        keras.layers.Flatten(),
        keras.layers.Dense(128, activation="relu"),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(num_classes, name="logits"),
    ]
    return keras.Sequential([keras.Input(shape=input_shape), *stages, *head], name="cnn")


def make_carbon_tracker(log_dir):
    """Make a carbon tracker for one stretch of work (one "epoch", as the tracker calls it).

    A GPU is measured through its own power meter, a processor through RAPL where this user may read it.
    Where there is no meter, the tracker *estimates*: it takes the processor to draw ASSUMED_WATTS for as long
    as the work takes. Without a network it converts energy to CO2eq with a world average.

    Args:
        log_dir: Folder for the tracker's log files; made if it is not there.

    Returns:
        A `carbontracker.tracker.CarbonTracker` with the methods `epoch_start()`, `epoch_end()` and `stop()`.
    """
    from carbontracker.tracker import CarbonTracker

    gpu = bool(tf.config.list_physical_devices("GPU"))
    measured = any(
        os.access(meter, os.R_OK) for meter in Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj")
    )
    assumed = f"estimated from {ASSUMED_WATTS:g} W"
    estimate = {"sim_cpu": assumed, "sim_cpu_tdp": ASSUMED_WATTS, "sim_cpu_util": 1.0}
    Path(log_dir).mkdir(parents=True, exist_ok=True)
    nowhere = io.StringIO()  # what it prints about missing keys and network does not concern this lab
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        return CarbonTracker(
            epochs=1,
            epochs_before_pred=0,
            components="gpu,cpu" if gpu else "cpu",
            log_dir=str(log_dir),
            verbose=0,
            ignore_errors=True,
            **({} if measured else estimate),
        )


def read_footprint(log_dir):
    """Read what the last carbon tracker in a folder measured, from its log files.

    Args:
        log_dir: The folder that was given to `make_carbon_tracker`.

    Returns:
        A dictionary: `energy_kwh`, `co2eq_g`, `seconds`, and `devices`, the names of what was measured.

    Raises:
        ValueError: If there is no complete log: the tracker was not started, or not ended.
    """
    from carbontracker.parser import parse_all_logs

    logs = parse_all_logs(str(log_dir)) if Path(log_dir).is_dir() else []
    logs = [log for log in logs if log["actual"] and _was_measured(log["components"])]
    if not logs:
        raise ValueError(
            f"read_footprint: there is no complete log of a carbon tracker in {log_dir}. Call epoch_start() "
            "before the training, and epoch_end() and stop() after it."
        )
    last = max(logs, key=lambda log: Path(log["output_filename"]).stat().st_mtime)
    parts = last["components"]
    return {
        "energy_kwh": last["actual"]["energy (kWh)"],
        "co2eq_g": last["actual"]["co2eq (g)"],
        "seconds": max(float(np.sum(part["epoch_durations (s)"])) for part in parts.values()),
        "devices": [device for part in parts.values() for device in part["devices"]],
    }


def _was_measured(parts):
    """Return whether a tracker's log holds at least one stretch of work for each device."""
    return bool(parts) and all(part["epoch_durations (s)"] is not None for part in parts.values())


FOOTPRINT_COLUMNS = {
    "energy_kwh": ("energy (kWh)", ".2e"),
    "co2eq_g": ("CO₂eq (g)", ".3g"),
    "seconds": ("time (s)", ".1f"),
    "accuracy": ("test accuracy", ".1%"),
    "parameters": ("parameters", ",d"),
}


def footprint_table(footprints):
    """Return a table of footprints as Markdown text.

    Args:
        footprints: Name of each model to a dictionary as `read_footprint` returns it, with `accuracy`, in
            [0, 1], and `parameters`, their number, beside it.

    Returns:
        The text of the table.
    """
    rows = [
        ["model", *(title for title, _ in FOOTPRINT_COLUMNS.values())],
        ["---"] * (1 + len(FOOTPRINT_COLUMNS)),
    ]
    for name, values in footprints.items():
        rows.append([name, *(format(values[key], form) for key, (_, form) in FOOTPRINT_COLUMNS.items())])
    power = sorted({device for values in footprints.values() for device in values["devices"]})
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\nPower: {', '.join(power)}."


def plot_footprints(footprints):
    """Show energy, CO2eq, time and accuracy of the models side by side.

    Args:
        footprints: See `footprint_table`.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    shown = ("energy_kwh", "co2eq_g", "seconds", "accuracy")
    figure, axes = plt.subplots(1, len(shown), figsize=(11, 3), layout="constrained")
    for axis, key in zip(axes, shown, strict=True):
        title, form = FOOTPRINT_COLUMNS[key]
        bars = axis.bar(list(footprints), [values[key] for values in footprints.values()], color=["C0", "C1"])
        axis.bar_label(bars, [format(values[key], form) for values in footprints.values()])
        axis.set(title=title)
        axis.margins(y=0.15)
    axes[-1].set_ylim(0, 1.1)
    return figure


# ---------------------------------------------------------------------------------------------------
# Pretrained models: given
# ---------------------------------------------------------------------------------------------------

PRETRAINED_VIT = "google/vit-base-patch16-224"
SUMMARISER = "t5-small"


def load_pretrained_vit(name=PRETRAINED_VIT, fallback="tiny_vit"):
    """Load a Vision Transformer and its image processor from the Hugging Face hub, its cache, or a folder.

    Without hub and cache, say what to download, make a tiny model without any training, save it in
    `fallback`, and load that one through the same code: its labels mean nothing, but it is used in the same
    way.

    Args:
        name: Name on the hub, or a folder that holds a saved model.
        fallback: Folder for the tiny model.

    Returns:
        `(processor, model)`: an image processor, and a `TFViTForImageClassification`.
    """
    from transformers import TFViTForImageClassification, ViTImageProcessor

    def load(place, **where):
        processor = ViTImageProcessor.from_pretrained(place, **where)
        return processor, TFViTForImageClassification.from_pretrained(place, **where)

    return _load_or_fall_back(load, name, "346 MB", lambda: save_tiny_vit(fallback))


def save_tiny_vit(folder, labels=None, seed=0):
    """Make a tiny Vision Transformer from a configuration, untrained, and save it with its image processor.

    It takes images of 32 by 32 pixels and has two encoder layers of width 32.

    Args:
        folder: Where to save; made if it is not there.
        labels: Names of its classes, at least five; None makes up ten.
        seed: Decides the random weights.

    Returns:
        The folder.
    """
    from transformers import TFViTForImageClassification, ViTConfig, ViTImageProcessor

    labels = [f"class {number} of a tiny model" for number in range(10)] if labels is None else list(labels)
    keras.utils.set_random_seed(seed)
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    model = TFViTForImageClassification(config)
    model.build_in_name_scope()  # makes the weights
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def load_summariser(name=SUMMARISER, fallback="tiny_t5"):
    """Load a T5 model and its tokeniser; see `load_pretrained_vit` for what happens without hub and cache.

    Args:
        name: Name on the hub, or a folder that holds a saved model.
        fallback: Folder for the tiny model.

    Returns:
        `(tokenizer, model)`: a tokeniser, and a `TFT5ForConditionalGeneration`.
    """
    from transformers import AutoTokenizer, TFT5ForConditionalGeneration

    def load(place, **where):
        tokenizer = AutoTokenizer.from_pretrained(place, **where)
        return tokenizer, TFT5ForConditionalGeneration.from_pretrained(place, **where)

    return _load_or_fall_back(load, name, "242 MB", lambda: save_tiny_t5(fallback))


def save_tiny_t5(folder, seed=0):
    """Make a tiny T5 model with random weights and a tokeniser of single letters, and save them.

    Args:
        folder: Where to save; made if it is not there.
        seed: Decides the random weights.

    Returns:
        The folder.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, T5Config, TFT5ForConditionalGeneration

    letters = ["<pad>", "</s>", "<unk>", *" abcdefghijklmnopqrstuvwxyz.,:"]
    tokenizer = Tokenizer(
        models.WordLevel({letter: number for number, letter in enumerate(letters)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    keras.utils.set_random_seed(seed)
    config = T5Config(
        vocab_size=len(letters),
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
    )
    model = TFT5ForConditionalGeneration(config)
    model.build_in_name_scope()  # makes the weights
    model.save_pretrained(folder)
    words = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    words.save_pretrained(folder)
    return folder


def _load_or_fall_back(load, name, size, make_tiny):
    """Load what has this name; where it cannot be had, say so, and load a tiny model instead."""
    places = [{"local_files_only": True}] + ([{}] if _hub_is_reachable() else [])
    for where in places:
        with contextlib.suppress(OSError):  # not in the cache, or the download failed
            return load(name, **where)
    print(
        f"{name} is neither in the Hugging Face cache of this machine nor can it be downloaded ({size}). A tiny "
        "model without training takes its place: what it says means nothing. To get the real one, go online and "
        f"run this cell again, or copy the files of https://huggingface.co/{name} into a folder and give its name."
    )
    return load(make_tiny(), local_files_only=True)


def _hub_is_reachable(seconds=3.0):
    """Return whether a download is worth trying; the hub's own code takes most of a minute to give up."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if urllib.request.getproxies():  # the proxy may reach what this machine cannot
        return True
    try:
        socket.create_connection((urllib.parse.urlsplit(constants.ENDPOINT).hostname, 443), seconds).close()
    except OSError:
        return False
    return True


def load_photo(name="china"):
    """Load a photograph that comes with scikit-learn (Creative Commons; see its file `images/README.txt`).

    Args:
        name: `"china"` (a temple) or `"flower"`.

    Returns:
        The photograph, uint8 (427, 640, 3) in [0, 255].
    """
    from sklearn.datasets import load_sample_image

    return np.array(load_sample_image(f"{name}.jpg"))


def plot_predicted_labels(image, predictions):
    """Show a picture beside the most probable labels.

    Args:
        image: uint8 (height, width, 3).
        predictions: Pairs of a label and its probability, the most probable first.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained")
    left.imshow(image)
    left.axis("off")
    labels = [str(label).split(",")[0] for label, _ in predictions]
    bars = right.barh(range(len(labels)), [probability for _, probability in predictions])
    right.bar_label(bars, [f"{probability:.1%}" for _, probability in predictions], padding=3)
    right.set(yticks=range(len(labels)), yticklabels=labels, xlabel="probability", xlim=(0, 1.15))
    right.invert_yaxis()
    return figure


# ---------------------------------------------------------------------------------------------------
# Public tests: given
#
# They check properties that every right solution has, whatever its weights are called, and a few examples
# that can be worked out by hand. Results of float32 arithmetic depend on the order of the additions, which
# differs between a CPU and a GPU, by some units in the seventh digit. Hence numbers of the size of 1 are
# compared with a tolerance of 1e-5, and those at the end of a longer chain of layers with 1e-4.
# ---------------------------------------------------------------------------------------------------

CLOSE = 1e-5
CLOSE_AFTER_MANY_LAYERS = 1e-4


@contextlib.contextmanager
def _full_float32():
    """Switch TensorFloat-32 off for a while: it rounds products on recent GPUs to three digits."""
    settings = tf.config.experimental
    was_enabled = settings.tensor_float_32_execution_enabled()
    settings.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        settings.enable_tensor_float_32_execution(was_enabled)


def _expect(condition, message):
    """Raise AssertionError with the message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


def _expect_shape(what, got, expected, hint):
    """Check a shape; the message says what was expected, what came, and what to try."""
    shape = tuple(getattr(got, "shape", ()))
    _expect(shape == tuple(expected), f"{what}: expected shape {tuple(expected)}, got {shape}. {hint}")


def _expect_close(what, got, expected, hint, tolerance=CLOSE):
    """Check that two arrays have one shape and nearly equal, finite values."""
    got, expected = np.asarray(got, "float64"), np.asarray(expected, "float64")
    _expect_shape(what, got, expected.shape, hint)
    _expect(np.isfinite(got).all(), f"{what}: expected finite numbers, got NaN or infinity. {hint}")
    difference = np.abs(got - expected).max()
    values = (
        f"expected {expected.tolist()}, got {got.tolist()}" if expected.size <= 8 else "the values differ"
    )
    _expect(difference <= tolerance, f"{what}: {values} (largest difference {difference:.3g}). {hint}")


def _expect_different(what, first, second, hint):
    """Check that two results differ by more than rounding."""
    difference = np.abs(np.asarray(first) - np.asarray(second)).max()
    _expect(difference > 10 * CLOSE, f"{what}: expected two different results, got the same one. {hint}")


def _expect_parameters(what, owner, expected, hint):
    """Check the number of parameters, and that all of them can be trained."""
    count = owner.count_params()
    _expect(count == expected, f"{what}: expected {expected} parameters, got {count}. {hint}")
    trainable = sum(int(np.prod(weight.shape)) for weight in owner.trainable_weights)
    message = f"{what}: expected {expected} trainable parameters, got {trainable}. Are all weights trainable?"
    _expect(trainable == expected, message)


def _normal(rng, *shape):
    """Return float32 normal random numbers of the given shape."""
    return rng.normal(size=shape).astype("float32")


def _attend(q, k, v):
    """Call scaled_dot_product_attention and check that a pair of the right shapes comes back."""
    result = scaled_dot_product_attention(tf.constant(q), tf.constant(k), tf.constant(v))
    is_pair = isinstance(result, (tuple, list)) and len(result) == 2
    _expect(is_pair, f"Return the pair (output, attention_weights); got {type(result).__name__}.")
    output, weights = result
    hint = "The output comes first: one mixture of values, and one row of weights, for each query."
    _expect_shape("output", output, (*q.shape[:-1], v.shape[-1]), hint)
    _expect_shape("attention_weights", weights, (*q.shape[:-1], k.shape[-2]), hint)
    return np.asarray(output), np.asarray(weights)


@_full_float32()
def test_scaled_dot_product_attention(seed=0):
    """Test `scaled_dot_product_attention` on a worked example and on its properties.

    Args:
        seed: Seed of the random inputs; every seed must pass.

    Raises:
        AssertionError: With what was expected, what came and what to try.
    """
    rng = np.random.default_rng(seed)
    for leading in ((2,), (2, 3)):
        q, k, v = (_normal(rng, *leading, *shape) for shape in ((4, 6), (5, 6), (5, 7)))
        _check_attention_properties(rng, q, k, v)
    _check_attention_example()
    _check_attention_extremes(rng)
    print("scaled_dot_product_attention: all public tests passed.")


def _check_attention_example():
    """Check one query and two keys.

    The scores 2 ln 3 and 0, divided by 2 (head_dim is 4), give the weights 3/4 and 1/4.
    """
    q = np.array([[[2 * np.log(3), 0, 0, 0]]], "float32")  # (batch, queries, head_dim)
    k = np.array([[[1, 0, 0, 0], [0, 1, 0, 0]]], "float32")  # (batch, keys, head_dim)
    v = np.array([[[0, 8, 4], [4, 0, 4]]], "float32")  # (batch, keys, value_dim)
    output, weights = _attend(q, k, v)
    hint = "Work the example out on paper. Are the scores scaled, and by the right number?"
    _expect_close("attention_weights of the worked example", weights, [[[0.75, 0.25]]], hint)
    _expect_close("output of the worked example", output, [[[1, 6, 4]]], "Mix the values with the weights.")


def _check_attention_properties(rng, q, k, v):
    """Check what holds for all inputs: rows sum to 1, and order and batch do not matter."""
    output, weights = _attend(q, k, v)
    hint = "Over which axis does the softmax run? Each query shares out a total of 1 among the keys."
    _expect_close(
        "sum of the attention weights of each query", weights.sum(-1), np.ones(weights.shape[:-1]), hint
    )
    _expect(weights.min() >= 0, f"attention_weights: expected none below 0, got {weights.min()}. {hint}")
    order = rng.permutation(k.shape[-2])
    hint = "Value j belongs to key j. Nothing else may depend on the order of the keys."
    _expect_close(
        "output after shuffling keys and values",
        _attend(q, k[..., order, :], v[..., order, :])[0],
        output,
        hint,
    )
    order = rng.permutation(q.shape[-2])
    hint = "Row i of the output belongs to query i alone."
    _expect_close(
        "output after shuffling queries", _attend(q[..., order, :], k, v)[0], output[..., order, :], hint
    )
    hint = "Sequences in a batch must not influence each other; work on the last two axes only."
    _expect_close("output for the first item alone", _attend(q[:1], k[:1], v[:1])[0], output[:1], hint)


def _check_attention_extremes(rng):
    """Check that a perfect match retrieves one value, and that huge scores do not overflow."""
    keys = 10 * np.eye(5, 6, dtype="float32")[None]
    values, wanted = _normal(rng, 1, 5, 7), [3, 1, 4, 0]
    hint = "Compare queries with keys by dot products: the key that equals the query must win."
    _expect_close(
        "values retrieved by matching keys",
        _attend(keys[:, wanted], keys, values)[0],
        values[:, wanted],
        hint,
    )
    hint = "exp() of a large number overflows; tf.nn.softmax takes care of that."
    output = _attend(100 * keys[:, wanted], 100 * keys, values)[0]
    _expect_close("values retrieved with huge scores", output, values[:, wanted], hint)


@_full_float32()
def test_MultiHeadAttention(seed=0):
    """Test `MultiHeadAttention` on a worked example, its parameter count and its properties.

    Args:
        seed: Seed of the random inputs; every seed must pass.

    Raises:
        AssertionError: With what was expected, what came and what to try.
    """
    rng = np.random.default_rng(seed)
    q, k, v = _normal(rng, 2, 7, 5), _normal(rng, 2, 8, 5), _normal(rng, 2, 8, 6)
    _check_heads_parameters(q, k, v)
    _check_heads_order(rng, q, k, v)
    _check_heads_dependencies(rng, q, k, v)
    _check_heads_example()
    _check_heads_gradients(q, k, v)
    _check_heads_weights(q, k, v)
    print("MultiHeadAttention: all public tests passed.")


def _multi_head(layer, q, k, v, width=4):
    """Call the layer on arrays and return its output, checked for type and shape."""
    output = layer(tf.constant(q), tf.constant(k), tf.constant(v))
    is_one = not isinstance(output, (tuple, list))
    _expect(is_one, "MultiHeadAttention: return only the output unless return_attention_weights is True.")
    hint = "One row for each query, proj_size features in each row."
    _expect_shape("MultiHeadAttention", output, (*q.shape[:2], width), hint)
    return np.asarray(output)


def _check_heads_parameters(q, k, v):
    """Check sizes and parameter counts where every axis has another length, also in a functional model."""
    layer = MultiHeadAttention(3, 4, 5, 6)
    inputs = [keras.Input(array.shape[1:]) for array in (q, k, v)]
    model = keras.Model(inputs, layer(*inputs))
    hint = (
        "For each head WQ and WK are (dk, proj_size) and WV is (dv, proj_size), all without biases; WO is "
        "(n_heads * proj_size, proj_size). A count that is too small may mean weights that Keras "
        "does not track."
    )
    _expect_parameters("MultiHeadAttention(3, 4, 5, 6)", model, 3 * 4 * (5 + 5 + 6) + 3 * 4 * 4, hint)
    same = MultiHeadAttention(2, 6, 6, 6)
    _multi_head(same, v, v, v, width=6)
    _expect_parameters("MultiHeadAttention with dk = dv = proj_size", same, 4 * 2 * 6**2, hint)


def _check_heads_example():
    """Check an example where every weight is 1/2, so that all heads and features are alike.

    With proj_size 4, a query of sum 2 becomes four times 1, a key of sum ln 3 four times ln(3) / 2: the score
    is 2 ln 3, scaled ln 3. The other key has the score 0. So the weights are 3/4 and 1/4. The values have the
    sums 4 and 0, projected 2 and 0, mixed 3/2; the output adds up 3 heads of 4 such features, times 1/2: 9.
    """
    layer = MultiHeadAttention(3, 4, 5, 6)
    q = np.full((1, 1, 5), 2 / 5, "float32")
    k = np.stack([np.full((1, 5), np.log(3) / 5), np.zeros((1, 5))], axis=1).astype("float32")
    v = np.stack([np.full((1, 6), 4 / 6), np.zeros((1, 6))], axis=1).astype("float32")
    _multi_head(layer, q, k, v)  # layers that make their weights in build() have them from here on
    layer.set_weights([np.full(weight.shape, 0.5) for weight in layer.get_weights()])
    hint = (
        "Work the example in the test's docstring out on paper. Scale by the square root of the head's width."
    )
    output = _multi_head(layer, q, k, v)
    _expect_close(
        "MultiHeadAttention, all weights 1/2", output, np.full((1, 1, 4), 9.0), hint, tolerance=1e-4
    )


def _check_heads_dependencies(rng, q, k, v):
    """Check what the output depends on: queries, keys, and in a linear way the values."""
    layer = MultiHeadAttention(3, 4, 5, 6)
    output = _multi_head(layer, q, k, v)
    _expect_different("other queries", output, _multi_head(layer, q[:, ::-1] + 1, k, v), "Is Q used?")
    _expect_different("other keys", output, _multi_head(layer, q, k[:, ::-1] + 1, v), "Is K used?")
    _expect_different(
        "other values", output, _multi_head(layer, q, k, v[:, ::-1] + 1), "Is V used, or K in its place?"
    )
    hint = "Attention weights depend on Q and K only, and there are no biases: the output is linear in V."
    _expect_close(
        "MultiHeadAttention for 2 * V",
        _multi_head(layer, q, k, 2 * v),
        2 * output,
        hint,
        CLOSE_AFTER_MANY_LAYERS,
    )
    equal = np.repeat(_normal(rng, 2, 1, 6), 8, axis=1)
    hint = "If all values are equal, each query receives just that value: is the sum of its weights 1?"
    mixed = _multi_head(layer, q, k, equal)
    _expect_close("MultiHeadAttention for equal values", mixed, np.repeat(mixed[:, :1], 7, axis=1), hint)
    _expect_close("the same for other queries", _multi_head(layer, q + 1, k, equal), mixed, hint)


def _check_heads_order(rng, q, k, v):
    """Check that queries are answered one by one, whatever the order of queries and keys."""
    layer = MultiHeadAttention(3, 4, 5, 6)
    output = _multi_head(layer, q, k, v)
    order = rng.permutation(7)
    hint = (
        "Row i of the output must depend on query i alone. When you merge the heads, does a reshape mix the "
        "features of different queries? Write down the order of the axes before it."
    )
    _expect_close(
        "MultiHeadAttention after shuffling queries",
        _multi_head(layer, q[:, order], k, v),
        output[:, order],
        hint,
    )
    order = rng.permutation(8)
    hint = "Value j belongs to key j. Check the axes where you split K and V into heads."
    shuffled = _multi_head(layer, q, k[:, order], v[:, order])
    _expect_close("MultiHeadAttention after shuffling keys and values", shuffled, output, hint)
    hint = "Items of a batch must not influence each other."
    _expect_close(
        "MultiHeadAttention, second item alone", _multi_head(layer, q[1:], k[1:], v[1:]), output[1:], hint
    )


def _check_heads_gradients(q, k, v):
    """Check that every single number in the weights has an effect on the output."""
    layer = MultiHeadAttention(3, 4, 5, 6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(layer(tf.constant(q), tf.constant(k), tf.constant(v))))
    for gradient in tape.gradient(loss, layer.trainable_weights):
        is_used = gradient is not None and np.count_nonzero(tf.convert_to_tensor(gradient)) == np.size(
            gradient
        )
        _expect(
            is_used,
            "MultiHeadAttention: some weights have no effect. Are all heads and projections used?",
        )


def _check_heads_weights(q, k, v):
    """Check the attention weights that come with the flag; a mean over the heads is fine, too."""
    result = MultiHeadAttention(3, 4, 5, 6, return_attention_weights=True)(*map(tf.constant, (q, k, v)))
    is_pair = isinstance(result, (tuple, list)) and len(result) == 2
    _expect(
        is_pair, "MultiHeadAttention: with return_attention_weights=True return the pair (output, weights)."
    )
    _expect_shape("output with return_attention_weights", result[0], (2, 7, 4), "The output comes first.")
    weights = np.asarray(result[1])
    shape_is_right = weights.shape in ((2, 3, 7, 8), (2, 7, 8))
    message = f"weights: expected shape (batch, heads, queries, keys) = (2, 3, 7, 8), got {weights.shape}."
    _expect(shape_is_right, message)
    hint = "The weights of each query sum to 1 over the keys."
    _expect_close("sum of the weights", weights.sum(-1), np.ones(weights.shape[:-1]), hint)


@_full_float32()
def test_mlp(seed=0):
    """Test `mlp`: widths, parameters, the non-linearity and when dropout acts.

    Args:
        seed: Seed of the random inputs; every seed must pass.

    Raises:
        AssertionError: With what was expected, what came and what to try.
    """
    x = _normal(np.random.default_rng(seed), 8, 5, 6)
    model = _mlp_model([7, 3], 0.5)
    hint = "One Dense layer (with bias) for each width, one after the other."
    _expect_shape("mlp with the widths [7, 3]", model(x), (8, 5, 3), hint)
    _expect_parameters("mlp from 6 features to [7, 3]", model, (6 * 7 + 7) + (7 * 3 + 3), hint)
    _expect_parameters("mlp from 6 features to [4]", _mlp_model([4], 0.5), 6 * 4 + 4, hint)
    _check_dropout("mlp", model, x, 0.5)
    _check_dropout("mlp", _mlp_model([7, 3], 0.0), x, 0.0)
    _check_mlp_example()
    print("mlp: all public tests passed.")


def _mlp_model(hidden_units, dropout_rate):
    """Return a model that is nothing but `mlp` on tokens of 6 features."""
    inputs = keras.Input((5, 6))
    return keras.Model(inputs, mlp(inputs, hidden_units, dropout_rate))


def _check_mlp_example():
    """Check an example with all kernels 1 and all biases 30, far from where ReLU and GELU differ.

    Tokens of sum 10 give hidden values 40, seven of them and the bias 310. Tokens of sum -1000 give hidden
    values -970, which the non-linearity turns into 0, so that only the bias 30 is left.
    """
    model = _mlp_model([7, 3], 0.5)
    model.set_weights(
        [np.full(weight.shape, 1.0 if weight.ndim > 1 else 30.0) for weight in model.get_weights()]
    )
    sums = np.array([10, -1000, 10, 10, -1000], "float32").reshape(1, 5, 1)
    output = np.asarray(model(np.repeat(sums / 6, 6, axis=-1)))
    expected = np.repeat(np.where(sums > 0, 310.0, 30.0), 3, axis=-1)
    hint = "Every Dense layer but the last needs a non-linearity (ReLU or GELU)."
    _expect_close(
        "mlp, kernels 1 and biases 30", output, expected, hint, tolerance=0.01
    )  # numbers of the size of 1000


def _check_dropout(what, model, x, rate):
    """Check that dropout acts in training only, and not at all if its rate is 0."""
    first = np.asarray(model(x, training=False))
    hint = "Use keras.layers.Dropout, which acts only when training is True, and pass it the rate."
    _expect_close(f"{what}, called twice without training", model(x, training=False), first, hint)
    if rate > 0:
        noisy = np.asarray(model(x, training=True))
        _expect_different(f"{what}, with and without training at rate {rate}", first, noisy, hint)
    else:
        trained = model(x, training=True)
        _expect_close(f"{what} in training at rate 0", trained, first, hint, CLOSE_AFTER_MANY_LAYERS)


@_full_float32()
def test_TransformerBlock(seed=0, dropout_rate=0.1):
    """Test `transformerBlock` as part of a functional model.

    Args:
        seed: Seed of the random inputs; every seed must pass.
        dropout_rate: Rate of dropout in the block, in [0, 1).

    Raises:
        AssertionError: With what was expected, what came and what to try.
    """
    x = _normal(np.random.default_rng(seed), 64, 5, 6)
    model = _block_model(dropout_rate)
    _expect_shape("transformerBlock", model(x), x.shape, "The block does not change the shape of its input.")
    hint = (
        "Expected are one MultiHeadAttention (4 * heads * model_dim**2), two LayerNormalizations (2 * "
        "model_dim each) and one mlp with the widths transformer_units."
    )
    _expect_parameters(
        "transformerBlock", model, 4 * 2 * 6**2 + 2 * 2 * 6 + (6 * 11 + 11) + (11 * 6 + 6), hint
    )
    _check_block_normalisation(model, x)
    _check_block_tokens(model, x)
    _check_block_residuals(x, dropout_rate)
    _check_dropout("transformerBlock", model, x, dropout_rate)
    _check_block_dropouts(x, dropout_rate)
    print("transformerBlock: all public tests passed.")


def _block_model(dropout_rate):
    """Return a model that is one block: 5 tokens, model_dim 6, 2 heads, mlp widths 11 and 6."""
    inputs = keras.Input((5, 6))
    return keras.Model(inputs, transformerBlock(inputs, 2, 6, [11, 6], dropout_rate))


def _silenced(dropout_rate, attention=False, perceptron=False):
    """Return a block whose attention or mlp adds nothing, since its matrices are 0."""
    model = _block_model(dropout_rate)
    weights = []
    for weight in model.get_weights():
        is_silent = perceptron if 11 in weight.shape else attention  # only mlp matrices have an axis of 11
        is_silent = is_silent and weight.ndim > 1  # biases and normalisations stay
        weights.append(np.zeros_like(weight) if is_silent else weight)
    model.set_weights(weights)
    return model


def _check_block_normalisation(model, x):
    """Check mean 0 and variance 1 of each token at the start; epsilon lowers the variance a little."""
    output = np.asarray(model(10 * x, training=False))
    hint = "The block ends with a LayerNormalization of each token's features, after the residual addition."
    _expect_close("mean of each token", output.mean(-1), np.zeros((64, 5)), hint, CLOSE_AFTER_MANY_LAYERS)
    _expect_close("variance of each token", output.var(-1), np.ones((64, 5)), hint, tolerance=0.05)


def _check_block_tokens(model, x):
    """Check that tokens see each other, in any order, and that items of a batch do not."""
    output = np.asarray(model(x, training=False))
    changed = x.copy()
    changed[:, 0] = -2 * changed[:, 1] + 1
    others = np.asarray(model(changed, training=False))[:, 1:]
    _expect_different(
        "tokens 1 to 4 after a change of token 0", output[:, 1:], others, "Do tokens attend to each other?"
    )
    order = [3, 0, 4, 1, 2]
    hint = "The block knows no order: normalise over features, not tokens, and attend with x as Q, K and V."
    shuffled = model(x[:, order], training=False)
    _expect_close("output for shuffled tokens", shuffled, output[:, order], hint, CLOSE_AFTER_MANY_LAYERS)
    hint = "Items of a batch must not influence each other."
    _expect_close(
        "output for the first item alone",
        model(x[:1], training=False),
        output[:1],
        hint,
        CLOSE_AFTER_MANY_LAYERS,
    )


def _check_block_residuals(x, dropout_rate):
    """Check the residuals with sublayers that add nothing.

    Inputs are 10 times as large as usual, so that an epsilon of up to 1e-3 changes the first normalisation by
    less than 1e-4; in the second one it may change the result by 2e-3.
    """
    normalised = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    quiet = _silenced(dropout_rate, attention=True, perceptron=True)
    hint = "If both sublayers return 0, the residuals still carry x: the result is x, normalised."
    _expect_close(
        "block with all matrices 0", quiet(10 * x, training=False), normalised, hint, tolerance=0.02
    )
    no_attention = _silenced(dropout_rate, attention=True)
    hint = (
        "The mlp and the second residual start from the normalised result of the attention sublayer, not x."
    )
    expected = np.asarray(no_attention(10 * x, training=False))
    _expect_close(
        "block without attention, for 3 x",
        no_attention(30 * x, training=False),
        expected,
        hint,
        tolerance=0.02,
    )
    hint = "Does the mlp's result reach the output?"
    _expect_different("block with and without its mlp", expected, quiet(10 * x, training=False), hint)
    hint = "Does the second residual add the result of the first sublayer, rather than x?"
    no_mlp = _silenced(dropout_rate, perceptron=True)
    _expect_different(
        "block with and without attention", no_mlp(x, training=False), quiet(x, training=False), hint
    )


def _check_block_dropouts(x, dropout_rate):
    """Check that each sublayer has a dropout, by silencing the other one."""
    if dropout_rate == 0:
        return
    for name, model in (
        ("attention", _silenced(dropout_rate, perceptron=True)),
        ("mlp", _silenced(dropout_rate, attention=True)),
    ):
        hint = f"There is a dropout on what the {name} sublayer returns, before the residual addition."
        results = model(x, training=True), model(x, training=False)
        _expect_different(f"block in training and not, {name} alone", *results, hint)


def test_PatchExtractor():
    """Test `PatchExtractor` on numbered pixels.

    Raises:
        AssertionError: With what was expected, what came and what to try.
    """
    hint = "patches = (side / patch_size)**2 and patch_dim = patch_size**2 * channels."
    _expect_shape(
        "PatchExtractor(8) of one image", PatchExtractor(8)(tf.zeros((1, 32, 32, 3))), (1, 16, 192), hint
    )
    images = np.arange(2 * 12 * 12 * 3, dtype="float32").reshape(2, 12, 12, 3)
    patches = PatchExtractor(4)(tf.constant(images))
    _expect_shape("PatchExtractor(4) of two images", patches, (2, 9, 48), hint)

    image = tf.reshape(tf.range(16.0), (1, 4, 4, 1))  # pixels numbered row by row
    expected = [[[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]]
    hint = (
        "Patches come row by row, and so do the pixels in a patch; there is no overlap and there are no gaps."
    )
    _expect_close("PatchExtractor(2) of 4 by 4 numbered pixels", PatchExtractor(2)(image), expected, hint)

    red_green = tf.concat([image, image + 100], axis=-1)
    first = [0, 100, 1, 101, 4, 104, 5, 105]
    hint = "Inside a patch the order is row, column, channel: all channels of a pixel stand together."
    _expect_close(
        "first patch of an image with two channels", PatchExtractor(2)(red_green)[0, 0], first, hint
    )

    hint = "Each image is cut on its own, and every pixel lands in exactly one patch."
    ordered = np.sort(np.asarray(patches).reshape(2, -1), axis=-1)
    _expect_close("pixels of each image, sorted", ordered, images.reshape(2, -1), hint)
    _expect_close(
        "patches of the second image alone", PatchExtractor(4)(tf.constant(images[1:])), patches[1:], hint
    )
    print("PatchExtractor: all public tests passed.")


@_full_float32()
def test_PatchEncoder(seed=0):
    """Test `PatchEncoder`: parameters, class token, positions and projection.

    Args:
        seed: Seed of the random inputs; every seed must pass.

    Raises:
        AssertionError: With what was expected, what came and what to try.
    """
    rng = np.random.default_rng(seed)
    patches = _normal(rng, 2, 9, 5)
    layer = PatchEncoder(9, 7)
    tokens = layer(tf.constant(patches))
    hint = "The class token makes one token more than there are patches."
    _expect_shape("PatchEncoder(9, 7)", tokens, (2, 10, 7), hint)
    hint = (
        "Expected are a Dense layer (5 * 7 + 7), one class token (7) and an Embedding with one row for each "
        "token, the class token included (10 * 7)."
    )
    _expect_parameters("PatchEncoder(9, 7) on patches of 5 numbers", layer, (5 * 7 + 7) + 7 + 10 * 7, hint)
    _check_class_token(rng, layer, patches)
    _check_positions(rng, layer, patches)
    _check_projection(layer, patches)
    print("PatchEncoder: all public tests passed.")


def _check_class_token(rng, layer, patches):
    """Check that one token, at an end, ignores the patches and is the same for every image."""
    tokens, others = np.asarray(layer(patches)), np.asarray(layer(_normal(rng, *patches.shape)))
    changes = np.abs(tokens - others).max(axis=(0, 2))
    constant = [int(token) for token in np.flatnonzero(changes <= CLOSE)]
    message = (
        f"PatchEncoder: expected token 0, the class token, to be the only one that does not depend on the "
        f"patches; the tokens that do not depend on them are {constant}. Join one learnable vector with the "
        "projected patches."
    )
    _expect(constant in ([0], [len(changes) - 1]), message)
    hint = "The class token is one learnable vector, shared by all images of a batch."
    _expect_close("class token of the second image", tokens[1, constant[0]], tokens[0, constant[0]], hint)


def _check_positions(rng, layer, patches):
    """Check with all other weights 0 that every token shows its own row of the position table."""
    table = _normal(rng, 10, 7)
    weights = layer.get_weights()
    is_table = [weight.shape[-2:] == (10, 7) for weight in weights]
    _expect(
        sum(is_table) == 1,
        "PatchEncoder: expected one position embedding of shape (patches + 1, projection_dim).",
    )
    only_positions = [
        table.reshape(weight.shape) if positions else np.zeros_like(weight)
        for weight, positions in zip(weights, is_table, strict=True)
    ]
    layer.set_weights(only_positions)
    tokens = np.asarray(layer(patches))
    layer.set_weights(weights)
    hint = "Add a position to all tokens, the class token included, and a different one to each."
    by_first_feature = tokens[:, :, 0].argsort(axis=1)[..., None]
    rows = np.take_along_axis(
        tokens, by_first_feature, axis=1
    )  # in one order, wherever the class token stands
    expected = np.repeat(table[table[:, 0].argsort()][None], 2, axis=0)
    _expect_close("tokens when all but the positions is 0", rows, expected, hint)


def _check_projection(layer, patches):
    """Check that the projection is affine, and the same for every patch."""
    tokens, zero = np.asarray(layer(patches)), np.asarray(layer(0 * patches))
    hint = "The projection is linear: a Dense layer without activation."
    _expect_close("tokens of -patches", layer(-patches), 2 * zero - tokens, hint)
    order = [4, 2, 0, 8, 6, 1, 3, 5, 7]
    is_patch = np.abs(tokens - zero).max(axis=(0, 2)) > CLOSE
    content, shuffled = (
        (tokens - zero)[:, is_patch],
        (np.asarray(layer(patches[:, order])) - zero)[:, is_patch],
    )
    hint = "Every patch goes through the same projection, and token i comes from patch i."
    _expect_close("tokens of shuffled patches, without positions", shuffled, content[:, order], hint)


@_full_float32()
def test_create_vit_classifier():
    """Test `create_vit_classifier` with small models of different sizes.

    Raises:
        AssertionError: With what was expected, what came and what to try.
    """
    images = np.random.default_rng(0).uniform(-1, 1, (4, 12, 12, 3)).astype("float32")
    for layers, head in ((1, [7]), (2, [7, 8])):
        model = _small_vit(transformer_layers=layers, mlp_classification_head_units=head)
        _check_vit_sizes(model, layers, head)
    _check_vit_logits(model, images)
    _check_vit_reads_class_token(images)
    _check_dropout("the classifier", model, images, 0.3)
    print("create_vit_classifier: all public tests passed.")


def _small_vit(**changes):
    """Return a small classifier: 9 patches of 48 numbers, model_dim 6, 2 heads, 5 classes."""
    sizes = {
        "input_shape": (12, 12, 3),
        "num_classes": 5,
        "patch_size": 4,
        "embedding_proj_dim": 6,
        "num_heads": 2,
    }
    rates = {"msa_dropout_rate": 0.3, "mlp_classification_head_dropout_rate": 0.3}
    return create_vit_classifier(**{**sizes, "msa_proj_dim": 6, **rates, **changes})


def _check_vit_sizes(model, layers, head):
    """Check the shapes and the number of parameters of a small classifier."""
    _expect(isinstance(model, keras.Model), "create_vit_classifier: return a keras.Model (tf_keras).")
    _expect_shape(
        "input of the classifier", model.input, (None, 12, 12, 3), "Use keras.Input(shape=input_shape)."
    )
    _expect_shape("output of the classifier", model.output, (None, 5), "One logit for each class.")
    encoder = (48 * 6 + 6) + 6 + 10 * 6
    block = 4 * 2 * 6**2 + 2 * 2 * 6 + (6 * 12 + 12) + (12 * 6 + 6)
    widths = [6, *head, 5]
    classifier = sum(width * units + units for width, units in itertools.pairwise(widths))
    hint = (
        f"Expected are {encoder} in the PatchEncoder, {block} in each transformer layer and {classifier} in "
        "the head with the last Dense layer; compare with model.summary()."
    )
    what = f"classifier with {layers} transformer layer(s) and the head {head}"
    _expect_parameters(what, model, encoder + layers * block + classifier, hint)


def _check_vit_logits(model, images):
    """Check that the outputs are logits that depend on every patch of their own image only."""
    logits = np.asarray(model(images, training=False))
    looks_like_softmax = logits.min() >= 0 and np.abs(logits.sum(-1) - 1).max() < CLOSE_AFTER_MANY_LAYERS
    _expect(not looks_like_softmax, "create_vit_classifier: return logits; leave the softmax to the loss.")
    hint = "Does every patch reach the class token?"
    for row in range(0, 12, 4):
        for column in range(0, 12, 4):
            changed = images.copy()
            changed[:, row : row + 4, column : column + 4] *= -1
            place = f"the patch at row {row}, column {column}"
            _expect_different(
                f"logits after a change of {place}", logits, model(changed, training=False), hint
            )
    hint = "Images of a batch must not influence each other."
    _expect_close(
        "logits of one image alone",
        model(images[:1], training=False),
        logits[:1],
        hint,
        CLOSE_AFTER_MANY_LAYERS,
    )


def _check_vit_reads_class_token(images):
    """Check a model without transformer layers: its class token never saw the image."""
    logits = np.asarray(_small_vit(transformer_layers=0)(images, training=False))
    hint = (
        "The head must read the class token alone, not the mean of all tokens or a patch. Is it at the place "
        "where PatchEncoder put it? And is there one transformerBlock for each of transformer_layers?"
    )
    what = "logits of different images without transformer layers"
    _expect_close(what, logits, np.repeat(logits[:1], len(images), axis=0), hint)
