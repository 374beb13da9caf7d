"""Experiments of the lab `vit`: small trainings and measurements that show why each part is there, with their plots.

Given: there is nothing to write here, nothing of it is graded, and grading does not run it. Section 14 of the notebook
imports from here. The parts that you have written come in as arguments, so the experiments are run on *your* work.
"""

import numpy as np
import tensorflow as tf
import tf_keras as keras
from lab_tools import build_cnn_baseline, position_table

SMALL_VIT = {
    "patch_size": 4,
    "embedding_proj_dim": 32,
    "num_heads": 2,
    "msa_proj_dim": 32,
    "transformer_layers": 2,
    "msa_dropout_rate": 0.0,
    "mlp_classification_head_units": [64],
    "mlp_classification_head_dropout_rate": 0.0,
}
"""The model of the experiments with images, which are 16 by 16 pixels: 16 patches."""
BATCH = 32
STEPS_OF_A_POINT = 10
"""Steps whose mean loss is one point of a curve."""

# ---------------------------------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------------------------------


def smaller(images):
    """Return images with every other row and column of pixels, which makes the experiments quick."""
    return np.ascontiguousarray(images[:, ::2, ::2])


def prepare(model, learning_rate=3e-3, steps_at_once=STEPS_OF_A_POINT):
    """Compile a model for `fit_steps` and return the values at which its training begins.

    Args:
        model: A `keras.Model` from images to logits.
        learning_rate: Of Adam.
        steps_at_once: Steps between two calls of callbacks.

    Returns:
        Pairs of a variable and its value: what `begin_again` takes.
    """
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, steps_per_execution=steps_at_once)
    model.optimizer.build(model.trainable_variables)
    return [(variable, variable.numpy()) for variable in (*model.variables, *model.optimizer.variables)]


def begin_again(start):
    """Put a model and its optimiser back to where `prepare` found them."""
    for variable, value in start:
        variable.assign(value)


def fit_steps(model, data, steps, seed=0, callbacks=()):
    """Train a prepared model for a number of steps, whatever the number of images.

    Args:
        model: A model that `prepare` has seen.
        data: Images and integer labels.
        steps: Number of batches, a multiple of 10.
        seed: Seed of the order of the images.
        callbacks: Callbacks of Keras.

    Returns:
        Mean loss of every ten steps, (steps / 10,).
    """
    batches = tf.data.Dataset.from_tensor_slices(data).shuffle(len(data[0]), seed).repeat().batch(BATCH)
    record = model.fit(
        batches,
        steps_per_epoch=STEPS_OF_A_POINT,
        epochs=steps // STEPS_OF_A_POINT,
        callbacks=list(callbacks),
        verbose=0,
    )
    return np.array(record.history["loss"])


def accuracy_on(model, data):
    """Return the part of the images that a model classifies rightly, in [0, 1]."""
    images, labels = data
    return float(np.mean(np.argmax(model(images, training=False), axis=-1) == labels))


def _small_vit(create, images, classes=10, **settings):
    return create(input_shape=images.shape[1:], num_classes=classes, **{**SMALL_VIT, **settings})


# ---------------------------------------------------------------------------------------------------
# Attention over a picture
# ---------------------------------------------------------------------------------------------------


def attention_rollout(attentions):
    """Follow attention through all layers: how much of each patch may have reached each token.

    The heads of a layer are averaged. Half of a token comes from attention, half is itself: that stands for the
    residual connection. Then the layers' matrices are multiplied.

    Args:
        attentions: Attention weights of each layer, (heads, tokens, tokens), from the first layer to the last.

    Returns:
        An array (tokens, tokens) whose rows sum to 1.

    Reference:
        Abnar and Zuidema (2020), Quantifying Attention Flow in Transformers, https://arxiv.org/abs/2005.00928
    """
    tokens = attentions[0].shape[-1]
    reached = np.eye(tokens)
    for weights in attentions:
        mixing = 0.5 * np.mean(weights, axis=0) + 0.5 * np.eye(tokens)  # (tokens, tokens), rows sum to 1
        reached = mixing @ reached
    return reached


def plot_attention_maps(image, attentions, title, class_token=0):
    """Show where the class token looks: each head of the last layer, and the rollout of all layers.

    Args:
        image: What the model saw, (side, side, 3), floats in [0, 1].
        attentions: See `attention_rollout`.
        title: Title of the figure.
        class_token: Position of the class token: 0 if it comes first, -1 if it comes last.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    heads = [(f"head {number + 1}", weights) for number, weights in enumerate(attentions[-1])]
    maps = [*heads, ("rollout", attention_rollout(attentions))]
    columns = min(7, len(maps) + 1)
    rows = -(-(len(maps) + 1) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.1 * columns, 2.2 * rows + 0.5), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    axes[0, 0].imshow(image)
    axes[0, 0].set_title("image")
    for axis, (name, weights) in zip(axes.flat[1:], maps, strict=False):
        patches = np.delete(np.asarray(weights)[class_token], class_token)  # (patches,)
        side = round(len(patches) ** 0.5)
        shares = patches / patches.mean()  # 1 is an even share
        axis.imshow(shares.reshape(side, side), cmap="magma", vmin=0, vmax=max(3, shares.max()))
        axis.set_title(f"{name}\n(brightest: {shares.max():.1f} × the mean)", fontsize=9)
    figure.suptitle(f"{title} (black: no attention)")
    return figure


# ---------------------------------------------------------------------------------------------------
# Shuffled patches
# ---------------------------------------------------------------------------------------------------


def shuffle_patches(images, patch_size, seed=0):
    """Return images whose patches are put in another order, each image's in an order of its own."""
    rng = np.random.default_rng(seed)
    count, side, _, channels = images.shape
    grid = side // patch_size
    cut = images.reshape(count, grid, patch_size, grid, patch_size, channels).swapaxes(2, 3)
    patches = cut.reshape(count, grid * grid, patch_size, patch_size, channels)
    shuffled = np.stack([rng.permutation(own) for own in patches])
    back = shuffled.reshape(count, grid, grid, patch_size, patch_size, channels).swapaxes(2, 3)
    return back.reshape(images.shape)


class WithoutPositions(keras.callbacks.Callback):
    """Sets a model's position embeddings back to 0 after every step, so that it has none."""

    def on_train_begin(self, logs=None):
        """Find the table, and empty it."""
        self.table = position_table(self.model)
        self.on_train_batch_end(0)

    def on_train_batch_end(self, batch, logs=None):
        """Empty the table."""
        self.table.assign(tf.zeros_like(self.table))


def compare_positions(create, training, test, steps=300, seed=0):
    """Train a ViT with and without positions, and test both on whole images and on images with shuffled patches.

    Args:
        create: Your `create_vit_classifier`.
        training: Images, (n, side, side, channels), and labels.
        test: Images and labels.
        steps: Number of training steps.
        seed: Seed of weights and shuffles.

    Returns:
        For "with positions" and "without positions", a dictionary of accuracies: `whole` and `shuffled`.
    """
    images, labels = test
    shuffled = shuffle_patches(images, SMALL_VIT["patch_size"], seed)
    keras.utils.set_random_seed(seed)
    model = _small_vit(create, images)
    start = prepare(model, steps_at_once=1)
    found = {}
    for name, callbacks in (("with positions", []), ("without positions", [WithoutPositions()])):
        begin_again(start)
        fit_steps(model, training, steps, seed, callbacks)
        found[name] = {"whole": accuracy_on(model, test), "shuffled": accuracy_on(model, (shuffled, labels))}
    return found


def plot_shuffled_patches(image, found, patch_size=4):
    """Show an image whole and with shuffled patches, and the accuracies of `compare_positions`.

    Args:
        image: One image, (side, side, channels), with pixels in [-1, 1].
        found: What `compare_positions` returned.
        patch_size: Side of a patch in pixels.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(11, 3.2), width_ratios=(1, 1, 2.2), layout="constrained"
    )
    for axis, shown, title in (
        (left, image, "a test image, whole"),
        (middle, shuffle_patches(image[None], patch_size)[0], "the same patches, shuffled"),
    ):
        axis.imshow(np.clip((shown + 1) / 2, 0, 1))
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=10)
    _bars(right, found, {"whole": "on whole images", "shuffled": "on shuffled patches"})
    figure.suptitle("A ViT with and without position embeddings, trained on whole images")
    return figure


def _bars(axis, found, legend):
    """Draw a group of bars for each entry of `found`: accuracies, with a line where guessing is."""
    width = 0.8 / len(legend)
    for number, (key, label) in enumerate(legend.items()):
        places = np.arange(len(found)) + width * (number - (len(legend) - 1) / 2)
        bars = axis.bar(places, [accuracies[key] for accuracies in found.values()], 0.95 * width, label=label)
        axis.bar_label(bars, fmt="{:.0%}", fontsize=9, padding=2)
    axis.axhline(0.1, color="black", linestyle=":", label="guessing, 10 classes")
    axis.set(xticks=range(len(found)), xticklabels=list(found), ylabel="accuracy", ylim=(0, 1.1))
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)


# ---------------------------------------------------------------------------------------------------
# Number of images
# ---------------------------------------------------------------------------------------------------


def vit_and_cnn(create):
    """Return functions that make a small ViT and the CNN of section 11 from the shape of an image, by name."""
    return {
        "ViT": lambda shape: create(input_shape=shape, num_classes=10, **SMALL_VIT),
        "CNN": lambda shape: build_cnn_baseline(shape, 10),
    }


def compare_numbers_of_images(builders, training, test, parts=(32, 16, 4, 1), steps=200, seed=0):
    """Train models on parts of the training images, from few to all, always for the same number of steps.

    Args:
        builders: For each model's name, a function that makes it from the images' shape.
        training: Images and labels, in random order.
        test: Images and labels.
        parts: 4 means a quarter of the images.
        steps: Number of training steps for each part.
        seed: Seed of weights and of the order of the images.

    Returns:
        Numbers of images, and for each model's name a list of test accuracies.
    """
    images, labels = training
    counts = [len(images) // part for part in parts]
    accuracies = {}
    for name, build in builders.items():
        keras.utils.set_random_seed(seed)
        model = build(images.shape[1:])
        start = prepare(model, 1e-3)
        accuracies[name] = []
        for count in counts:
            begin_again(start)
            fit_steps(model, (images[:count], labels[:count]), steps, seed)
            accuracies[name].append(accuracy_on(model, test))
    return counts, accuracies


def plot_numbers_of_images(counts, accuracies):
    """Show what `compare_numbers_of_images` returned: accuracy over the number of training images.

    Args:
        counts: Numbers of images.
        accuracies: For each model's name, a list of test accuracies.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for (name, values), height in zip(accuracies.items(), (-14, 6), strict=False):
        axis.plot(counts, values, marker="o", label=name)
        for count, value in zip(counts, values, strict=True):
            place = {"xytext": (0, height), "textcoords": "offset points", "ha": "center", "fontsize": 9}
            axis.annotate(f"{value:.0%}", (count, value), **place)
    axis.axhline(0.1, color="black", linestyle=":", label="guessing, 10 classes")
    axis.set(xscale="log", xticks=counts, xticklabels=counts, ylim=(0, 1.12))
    axis.minorticks_off()
    axis.set(xlabel="training images (logarithmic)", ylabel="test accuracy", title="Few images: ViT against CNN")
    axis.grid(alpha=0.3)
    axis.legend(loc="lower right")
    return figure


# ---------------------------------------------------------------------------------------------------
# Warm-up and augmentation
# ---------------------------------------------------------------------------------------------------


def compare_warm_up(create, training, test, steps=200, warm_up=100, learning_rate=5e-3, layers=6, seed=0):
    """Train a deep post-norm ViT with a constant learning rate, and with one that first rises from 0.

    Args:
        create: Your `create_vit_classifier`.
        training: Images and labels.
        test: Images and labels.
        steps: Number of training steps.
        warm_up: Steps in which the learning rate rises.
        learning_rate: What it rises to.
        layers: Number of encoder layers.
        seed: Seed of weights and of the order of the images.

    Returns:
        For "without warm-up" and "with warm-up", a pair: the losses of `fit_steps`, and the test accuracy.
    """
    keras.utils.set_random_seed(seed)
    model = _small_vit(create, training[0], transformer_layers=layers)
    start = prepare(model, learning_rate)

    def rising(epoch, rate):  # an "epoch" is ten steps here
        return learning_rate * min(1.0, epoch * STEPS_OF_A_POINT / warm_up + 1e-7)

    found = {}
    for name, callbacks in (
        ("without warm-up", []),
        ("with warm-up", [keras.callbacks.LearningRateScheduler(rising)]),
    ):
        begin_again(start)
        losses = fit_steps(model, training, steps, seed, callbacks)
        found[name] = losses, accuracy_on(model, test)
    return found


def shift(images, most, seed=0):
    """Return images that are shifted by up to `most` pixels, each in a random direction; the edge is repeated."""
    rng = np.random.default_rng(seed)
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)), mode="edge")
    side = images.shape[1]
    corners = rng.integers(0, 2 * most + 1, size=(len(images), 2))
    return np.stack(
        [image[row : row + side, column : column + side] for image, (row, column) in zip(padded, corners, strict=True)]
    )


def compare_augmentation(create, training, test, steps=400, most=2, seed=0):
    """Train a ViT with and without shifted training images.

    Args:
        create: Your `create_vit_classifier`.
        training: Images and labels.
        test: Images and labels.
        steps: Number of training steps.
        most: Largest shift in pixels.
        seed: Seed of weights, order and shifts.

    Returns:
        For "without augmentation" and "with augmentation", a dictionary of accuracies: `training`, `test` and
        `test, shifted`.
    """
    shifted = shift(test[0], most, seed), test[1]
    part = most / test[0].shape[1]
    shifts = keras.layers.RandomTranslation(part, part, fill_mode="nearest")
    found = {}
    for name, augmentation in (("without augmentation", None), ("with augmentation", shifts)):
        keras.utils.set_random_seed(seed)
        model = _small_vit(create, test[0], data_augmentation=augmentation)
        prepare(model)
        fit_steps(model, training, steps, seed)
        sets = {"training": training, "test": test, "test, shifted": shifted}
        found[name] = {which: accuracy_on(model, data) for which, data in sets.items()}
    return found


def plot_warm_up(found):
    """Show the losses and test accuracies of `compare_warm_up`.

    Args:
        found: What `compare_warm_up` returned.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for (name, (losses, accuracy)), style in zip(found.items(), ("--", "-"), strict=True):
        steps = STEPS_OF_A_POINT * np.arange(1, len(losses) + 1)
        axis.plot(steps, losses, style, label=f"{name}: test accuracy {accuracy:.0%}")
    axis.axhline(np.log(10), color="black", linestyle=":", label="guessing, 10 classes")
    axis.set(xlabel="training step", ylabel="training loss (nats)", ylim=(0, None))
    axis.set_title("A deep post-norm ViT with a high learning rate")
    axis.grid(alpha=0.3)
    axis.legend()
    return figure


def plot_augmentation(found):
    """Show the accuracies of `compare_augmentation`.

    Args:
        found: What `compare_augmentation` returned.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(9, 3.4), layout="constrained")
    legend = {"training": "on its training images", "test": "on test images", "test, shifted": "on shifted test images"}
    _bars(axis, found, legend)
    axis.set_title("A ViT that was trained on few images, with and without random shifts")
    return figure


# ---------------------------------------------------------------------------------------------------
# A sequence to reverse
# ---------------------------------------------------------------------------------------------------


class Reverser(keras.Model):
    """One attention between an embedding and a linear layer: for each token it names the one at the mirrored place.

    Args:
        attention: Function of queries, keys and values that returns outputs and weights.
        length: Number of tokens in a sequence, and of different tokens.
        width: Features of a token.
    """

    def __init__(self, attention, length, width=32):
        """Create the layers."""
        super().__init__()
        self.attention = attention
        self.embedding = keras.layers.Embedding(length, width)
        self.positions = keras.layers.Embedding(length, width)
        self.queries, self.keys, self.values = (keras.layers.Dense(width, use_bias=False) for _ in range(3))
        self.answer = keras.layers.Dense(length)

    def call(self, tokens):
        """Return logits, (batch, tokens, length), and attention weights, (batch, tokens, tokens)."""
        x = self.embedding(tokens) + self.positions(tf.range(tf.shape(tokens)[1]))  # (batch, tokens, width)
        mixed, weights = self.attention(self.queries(x), self.keys(x), self.values(x))
        return self.answer(x + mixed), weights


def train_reversal(attention, length=12, steps=400, seed=0):
    """Train a `Reverser` on random sequences, and test it on new ones.

    Args:
        attention: Function of queries, keys and values, (batch, tokens, features), that returns outputs and weights.
        length: Number of tokens in a sequence, and of different tokens.
        steps: Number of training steps, each on 128 new sequences.
        seed: Seed of weights and sequences.

    Returns:
        The accuracy at each place, (length,), and the mean attention weights, (length, length).
    """
    keras.utils.set_random_seed(seed)
    model, optimizer = Reverser(attention, length), keras.optimizers.Adam(1e-2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train(tokens):
        with tf.GradientTape() as tape:
            logits, _ = model(tokens)
            wrong = loss(tf.reverse(tokens, [1]), logits)
        optimizer.minimize(wrong, model.trainable_variables, tape)

    rng = np.random.default_rng(seed)
    for batch in rng.integers(length, size=(steps, 128, length)):
        train(tf.constant(batch))
    tokens = rng.integers(length, size=(500, length))
    logits, weights = model(tokens)
    right = np.argmax(logits, axis=-1) == tokens[:, ::-1]
    return right.mean(axis=0), np.mean(weights, axis=0)


def plot_reversal(found):
    """Show the attention map and the accuracy at each place, for several ways to attend.

    Args:
        found: For each way's name, what `train_reversal` returned.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        2, len(found), figsize=(4.4 * len(found), 5.4), height_ratios=(2, 1), squeeze=False, layout="constrained"
    )
    for (above, below), (name, (accuracies, weights)) in zip(axes.T, found.items(), strict=True):
        shown = above.imshow(weights, vmin=0, vmax=1, cmap="viridis")
        places = np.arange(1, len(accuracies) + 1)
        ticks = {"ticks": places[::2] - 1, "labels": places[::2]}
        above.set_xticks(**ticks)
        above.set_yticks(**ticks)
        above.set(title=name, xlabel="place that is asked (key)", ylabel="place that asks (query)")
        below.bar(places, accuracies)
        below.axhline(1 / len(places), color="black", linestyle=":")
        below.set(xlabel="place in the answer", ylabel="accuracy", ylim=(0, 1.05), xticks=places[::2])
        below.set_title(f"accuracy {accuracies.mean():.0%} over all places (dotted: guessing)", fontsize=10)
    figure.colorbar(shown, ax=axes[0], label="attention weight")
    figure.suptitle("Reverse a sequence: place 1 must answer with the last token, place 2 with the last but one, …")
    return figure


# ---------------------------------------------------------------------------------------------------
# Gradients of a deep stack
# ---------------------------------------------------------------------------------------------------


class Gate(keras.layers.Layer):
    """Lets its input pass; while it is closed, no gradient passes backwards."""

    is_open = True

    def call(self, x):
        """Return x."""
        return x if self.is_open else tf.stop_gradient(x)


def gradients_by_layer(frame, attention, mlp, layers=12, tokens=17, width=32, seed=0):
    """Measure how much gradient reaches the input of each layer of a new stack, by all ways and past the sublayers.

    Args:
        frame: Function of tokens and a sublayer that puts the sublayer into its residual connection.
        attention: Your `MultiHeadAttention`.
        mlp: Your `mlp`.
        layers: Number of layers, each an attention and an mlp.
        tokens: Number of tokens.
        width: Features of a token.
        seed: Seed of weights and data.

    Returns:
        For "all ways" and "past the sublayers alone", the norm of the loss's gradient with respect to the input of
        each layer and to the output of the last one, (layers + 1,), divided by the last of these numbers.
    """
    keras.utils.set_random_seed(seed)
    gates = []

    def gated(sublayer):
        gates.append(Gate())
        return lambda x, gate=gates[-1]: gate(sublayer(x))

    stages = [keras.Input((tokens, width))]
    for _ in range(layers):
        heads = attention(2, width, width, width)
        attended = frame(stages[-1], gated(lambda x, heads=heads: heads(x, x, x)))
        stages.append(frame(attended, gated(lambda x: mlp(x, [2 * width, width], 0.0))))
    model = keras.Model(stages[0], stages[1:])
    head = keras.Sequential([keras.layers.LayerNormalization(), keras.layers.Dense(10)])
    images = tf.random.stateless_normal((BATCH, tokens, width), seed=(seed, 0))
    labels = tf.random.stateless_uniform((BATCH,), seed=(seed, 1), maxval=10, dtype=tf.int32)
    norms = {}
    for name, is_open in (("all ways", True), ("past the sublayers alone", False)):
        for gate in gates:
            gate.is_open = is_open
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = [images, *model(images)]
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, head(outputs[-1][:, 0]))
        lengths = np.array([float(tf.norm(gradient)) for gradient in tape.gradient(loss, outputs)])
        norms[name] = lengths / lengths[-1]
    return norms


def plot_gradients(found):
    """Show the gradient that reaches each layer, past the sublayers alone and by all ways.

    Args:
        found: For each kind of layer, what `gradients_by_layer` returned.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True, layout="constrained")
    ways = {"past the sublayers alone": "around the sublayers (skip path only)", "all ways": "by all ways, sublayers included"}
    for axis, (way, words) in zip(axes, ways.items(), strict=True):
        for name, norms in found.items():
            layers = np.arange(1, len(norms[way]) + 1)
            axis.plot(layers, norms[way], marker=".", label=f"{name}: layer 1 gets {norms[way][0]:.2g}")
        axis.set(yscale="log", title=f"gradient that comes {words}", xlabel="layer that it reaches")
        axis.set_xticks(layers[::2], [*layers[:-1:2], "output"])
        axis.grid(alpha=0.3)
        axis.legend(fontsize=9)
    figure.suptitle(f"How much of the loss's gradient reaches each of {len(layers) - 1} layers, before training")
    axes[0].set_ylabel("norm of the gradient (at the output: 1)")
    return figure
