"""Tools of the lab `vit`: data, plots, a look inside a model, carbon footprints, pretrained models.

Given: there is nothing to write here, and grading uses the course's own copy. The notebook imports these tools
from `utilities`. They need nothing from there, so they work whatever you have written so far.
"""

import contextlib
import io
import os
import socket
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras

# ---------------------------------------------------------------------------------------------------
# Profile and data
# ---------------------------------------------------------------------------------------------------

PROFILES = ("quick", "cpu", "full")
CIFAR10_ARCHIVE = "cifar-10-batches-py.tar.gz"  # the name under which Keras stores it
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def choose_profile():
    """Choose how large this run of the notebook is, and print the choice with its reason.

    The environment variable VIT_PROFILE decides if it is set. Otherwise the profile is `"quick"` until CIFAR-10
    has been downloaded; after that it is `"full"` with a GPU and `"cpu"` without one.

    Returns:
        `"quick"`, `"cpu"` or `"full"`.

    Raises:
        ValueError: If VIT_PROFILE is none of the three.
    """
    wanted = os.environ.get("VIT_PROFILE")
    if wanted:
        if wanted not in PROFILES:
            raise ValueError(f"choose_profile: VIT_PROFILE must be one of {PROFILES}, got {wanted!r}.")
        print(f"Profile {wanted!r}, as the environment variable VIT_PROFILE says.")
        return wanted
    gpus = len(tf.config.list_physical_devices("GPU"))
    if not (_keras_home() / "datasets" / CIFAR10_ARCHIVE).is_file():
        print("Profile 'quick': CIFAR-10 has not been downloaded. Digits and a small model, minutes on a laptop.")
        return "quick"
    if not gpus:
        print("Profile 'cpu': CIFAR-10 found, but no GPU. CIFAR-10 and a small model, minutes on a laptop.")
        return "cpu"
    print(f"Profile 'full': {gpus} GPU(s) and CIFAR-10 found.")
    return "full"


def load_images(dataset="digits", n_train=10_000, n_test=2_000, seed=0):
    """Load small colour images with their labels.

    `"cifar10"` gives the first n_train training and the first n_test test images of CIFAR-10 (at most 50,000
    and 10,000); Keras downloads them once, about 170 MB. `"digits"` gives handwritten digits that come with
    scikit-learn, enlarged from 8 by 8 grey values to 32 by 32 pixels with three equal channels; it needs no
    network. There are only 1797 digits: if you ask for more, all of them are split in the proportion
    n_train : n_test.

    Args:
        dataset: `"cifar10"` or `"digits"`.
        n_train: Number of training images, at least 1.
        n_test: Number of test images, at least 1.
        seed: Seed of the order in which the digits are shuffled; CIFAR-10 keeps its own order.

    Returns:
        `(X_train, Y_train), (X_test, Y_test), class_names`: images, uint8 (n, 32, 32, 3) in [0, 255]; labels,
        int64 (n,); and a list with the name of each class.

    Raises:
        ValueError: If the dataset is unknown, or n_train or n_test is below 1.
        RuntimeError: If CIFAR-10 is not on this machine and cannot be downloaded.
    """
    if min(n_train, n_test) < 1:
        raise ValueError(f"load_images: n_train and n_test must be at least 1, got {n_train} and {n_test}.")
    if dataset == "cifar10":
        return _load_cifar10(n_train, n_test)
    if dataset == "digits":
        return _load_digits(n_train, n_test, seed)
    raise ValueError(f"load_images: unknown dataset {dataset!r}. Known are 'cifar10' and 'digits'.")


def _load_cifar10(n_train, n_test):
    """Return the first images of CIFAR-10, in the form that `load_images` describes."""
    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data(str(_keras_home()))
    except Exception as error:  # a failed download is a plain Exception in Keras
        raise RuntimeError(
            "load_images: CIFAR-10 could not be downloaded. Fetch cifar-10-python.tar.gz from "
            f"https://www.cs.toronto.edu/~kriz/cifar.html, rename it to {CIFAR10_ARCHIVE}, and put it into the "
            f'folder {_keras_home() / "datasets"}, or use dataset="digits", which works offline.'
        ) from error
    train = x_train[:n_train], y_train[:n_train].reshape(-1).astype("int64")
    test = x_test[:n_test], y_test[:n_test].reshape(-1).astype("int64")
    return train, test, list(CIFAR10_CLASSES)


def _keras_home():
    """Return the folder where Keras stores what it downloads."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))


def _load_digits(n_train, n_test, seed):
    """Return shuffled and enlarged digits, in the form that `load_images` describes."""
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
# Plots
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
    """Show an image next to the patches that were cut from it.

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
        history: The result of `model.fit`, or its dictionary `history.history`.

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
        axis.xaxis.get_major_locator().set_params(integer=True)
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

    Floats are taken to lie in [-1, 1] if any of them is negative. With `like`, its pixels decide this rather
    than those of the images.
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
# A look inside a trained model
# ---------------------------------------------------------------------------------------------------


def attention_of_layers(model, images):
    """Return the attention weights of every encoder layer of a model, as your layers compute them.

    Each `MultiHeadAttention` that the model calls, however deep inside other layers, gets a twin: a second layer
    of the same class and sizes, made with `return_attention_weights=True`, which is given the same weights and
    the same tokens.

    Args:
        model: A `keras.Model` made with `create_vit_classifier`.
        images: Float tensor (batch, side, side, channels), prepared like the training images.

    Returns:
        A list with an array (batch, heads, tokens, tokens) for each layer, from the first to the last. Where
        your `MultiHeadAttention` returns the mean over the heads, the arrays have one head.

    Raises:
        ValueError: If the model calls no layer of the class `MultiHeadAttention`, or one returns no weights.
    """
    calls = _calls_of_class(model, "MultiHeadAttention", images)
    if not calls:
        raise ValueError("attention_of_layers: there is no MultiHeadAttention layer in this model.")
    all_weights = [_attention_of(layer, tokens, output) for layer, tokens, output in calls]
    return [weights if weights.ndim == 4 else weights[:, None] for weights in all_weights]


def _calls_of_class(model, name, images):
    """Run a model and return what each of its layers of a class was called with and returned, in order.

    The name of the class decides, not the class itself: `utilities` may have been reloaded since the model was
    built. Layers of Keras with the same name do not count, nor do layers inside a layer that was found.

    Returns:
        A list with a triple for each call: the layer, its first input, and its output.
    """
    layers = [part for part in model.submodules if _is_own_layer(part, name)]
    inner = {id(part) for layer in layers for part in layer.submodules}
    calls = []
    with contextlib.ExitStack() as restore:
        restore.callback(tf.config.run_functions_eagerly, tf.config.functions_run_eagerly())
        tf.config.run_functions_eagerly(True)  # so that a layer inside a tf.function sees numbers, too
        for layer in layers:
            if id(layer) not in inner:
                restore.callback(setattr, layer, "call", layer.call)
                layer.call = _recording(layer, layer.call, calls)
        model(images, training=False)
    return calls


def _is_own_layer(part, name):
    """Return whether a part of a model is a layer of a class with this name that is not one of Keras' own."""
    kinds = [kind for kind in type(part).__mro__ if kind.__name__ == name]
    return isinstance(part, keras.layers.Layer) and any("keras" not in kind.__module__ for kind in kinds)


def _recording(layer, call, calls):
    """Return a layer's `call` with a memory: what it was called with and returned goes to the end of `calls`."""

    def recorded(*inputs, **named):
        output = call(*inputs, **named)
        calls.append((layer, tf.nest.flatten([inputs, named])[0], output))
        return output

    return recorded


def _attention_of(layer, tokens, output):
    """Return the attention weights of one layer for tokens that attend to each other."""
    features, width = tokens.shape[-1], output.shape[-1]
    heads = layer.count_params() // (width * (3 * features + width))  # WQ, WK, WV and WO of each head
    twin = type(layer)(heads, width, features, features, True)  # by position: you may have renamed them
    answer = twin(tokens, tokens, tokens)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise ValueError(
            "attention_of_layers: with return_attention_weights=True, MultiHeadAttention must return the "
            "pair (output, weights)."
        )
    twin.set_weights(layer.get_weights())
    return np.asarray(twin(tokens, tokens, tokens)[1])


def plot_class_token_attention(model, images, class_token=0):
    """Show where the class token looks, for each image and encoder layer: the mean over the heads.

    Args:
        model: See `attention_of_layers`.
        images: A few images, prepared like the training images.
        class_token: Position of the class token: 0 if it comes first, -1 if it comes last.

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
    figure.suptitle("Attention weights of the class token to the patches\n(mean over the heads)")
    return figure


def _rows_of_class_token(weights, class_token):
    """Return how much the class token attends to each patch, arranged as in the image: (batch, rows, columns)."""
    row = weights.mean(axis=1)[:, class_token]  # (batch, tokens)
    patches = np.delete(row, class_token, axis=1)  # (batch, patches)
    side = round(patches.shape[1] ** 0.5)
    return patches.reshape(len(patches), side, side)


def plot_position_similarity(model, class_token=0):
    """Show how similar the learned position embeddings are: one small map for each patch.

    The map of a patch holds the cosine similarity between its position embedding and those of all patches.

    Args:
        model: A `keras.Model` made with `create_vit_classifier`.
        class_token: Position of the class token: 0 if it comes first, -1 if it comes last.

    Returns:
        The Matplotlib figure.

    Raises:
        ValueError: If the model has no `PatchEncoder` with a table of positions.
    """
    import matplotlib.pyplot as plt

    table = np.asarray(position_table(model))
    positions = np.delete(table.reshape(table.shape[-2:]), class_token, axis=0)  # (patches, model_dim)
    unit = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    side = round(len(unit) ** 0.5)
    similarity = (unit @ unit.T).reshape(side, side, side, side)
    # All maps in one picture, which is much faster than one axis for each: a gap of one pixel follows each map.
    maps = np.pad(similarity, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    picture = maps.swapaxes(1, 2).reshape(side * (side + 1), side * (side + 1))[:-1, :-1]
    figure, axis = plt.subplots(figsize=(6.6, 6), layout="constrained")
    shown = axis.imshow(np.ma.masked_invalid(picture), vmin=-1, vmax=1, cmap="RdBu_r")
    axis.set_facecolor("black")
    middles = np.arange(side) * (side + 1) + (side - 1) / 2
    axis.set_xticks(middles, range(1, side + 1))
    axis.set_yticks(middles, range(1, side + 1))
    axis.set(xlabel="map of the patch in this column", ylabel="map of the patch in this row")
    figure.colorbar(shown, ax=axis, shrink=0.8, label="cosine similarity")
    figure.suptitle("Similarity of each patch's position embedding to all others")
    return figure


def position_table(model):
    """Find the position embeddings of a model's PatchEncoder.

    Args:
        model: A `keras.Model` made with `create_vit_classifier`.

    Returns:
        The variable, (tokens, model_dim) or (1, tokens, model_dim).

    Raises:
        ValueError: If the model has no `PatchEncoder` with a table of positions.
    """
    image = tf.zeros((1, *model.input_shape[1:]))
    for layer, _, output in _calls_of_class(model, "PatchEncoder", image):
        tokens, width = output.shape[1:]
        for weight in layer.weights:
            if tuple(weight.shape) in ((tokens, width), (1, tokens, width)):
                return weight
    raise ValueError("position_table: the model has no PatchEncoder with a table of positions.")


# ---------------------------------------------------------------------------------------------------
# Carbon footprint
# ---------------------------------------------------------------------------------------------------

JOULES_PER_KWH = 3.6e6
ASSUMED_WATTS = 45.0
"""Power of a laptop's processor at work, in watts. Used only where no power meter can be read."""


def build_cnn_baseline(input_shape=(32, 32, 3), num_classes=10):
    """Build a small convolutional network to compare the Vision Transformer with.

    It has three stages of convolution and pooling, as in many CNN labs, then a Dense layer with dropout.

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
    Where there is no meter, the tracker *estimates*: it assumes that the processor draws ASSUMED_WATTS for as
    long as the work takes. It converts energy to CO2eq with the average of the country that it finds itself in,
    or, without a network, of the world.

    Args:
        log_dir: Folder for the tracker's log files; created if it does not exist.

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
    nowhere = io.StringIO()  # its warnings about missing keys and networks do not concern this lab
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
        log_dir: The folder that `make_carbon_tracker` was called with.

    Returns:
        A dictionary: `energy_kwh`, `co2eq_g`, `seconds`, `watts`, the mean power (the data centre's share, PUE,
        included), and `devices`, the names of the measured devices.

    Raises:
        ValueError: If there is no complete log, because the tracker was not started or not stopped.
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
    energy = last["actual"]["energy (kWh)"]
    seconds = max(float(np.sum(part["epoch_durations (s)"])) for part in parts.values())
    return {
        "energy_kwh": energy,
        "co2eq_g": last["actual"]["co2eq (g)"],
        "seconds": seconds,
        "watts": energy * JOULES_PER_KWH / seconds,
        "devices": [device for part in parts.values() for device in part["devices"]],
    }


def _was_measured(parts):
    """Return whether a tracker's log holds at least one stretch of work for each device."""
    return bool(parts) and all(part["epoch_durations (s)"] is not None for part in parts.values())


FOOTPRINT_COLUMNS = {
    "energy_kwh": ("energy (kWh)", ".2e"),
    "co2eq_g": ("CO₂eq (g)", ".3g"),
    "seconds": ("time, tracker (s)", ".1f"),
    "clock": ("time, clock (s)", ".1f"),
    "watts": ("mean power (W)", ".0f"),
    "accuracy": ("test accuracy", ".1%"),
    "parameters": ("parameters", ",d"),
}


def footprint_table(footprints):
    """Return a table of footprints as Markdown text.

    Args:
        footprints: Maps the name of each model to what `read_footprint` returns for it, with three more keys:
            `clock`, the seconds that another clock saw, `accuracy`, in [0, 1], and `parameters`, their number.

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
# Pretrained models
# ---------------------------------------------------------------------------------------------------

PRETRAINED_VIT = "google/vit-base-patch16-224"
SUMMARISER = "t5-small"


def load_pretrained_vit(name=PRETRAINED_VIT, fallback="tiny_vit"):
    """Load a Vision Transformer and its image processor from the Hugging Face hub, its cache, or a folder.

    If the model is in neither hub nor cache, this function says what to download, saves a tiny untrained
    model in `fallback`, and loads that one in the same way. Its labels mean nothing.

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
    """Make a tiny, untrained Vision Transformer and save it with its image processor.

    It takes images of 32 by 32 pixels and has two encoder layers of width 32.

    Args:
        folder: Where to save; created if it does not exist.
        labels: Names of its classes, at least five; None makes up ten.
        seed: Seed of the random weights.

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
    """Load a T5 model and its tokeniser; without hub and cache it works as `load_pretrained_vit` does.

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
        folder: Where to save; created if it does not exist.
        seed: Seed of the random weights.

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
    """Load the model of this name; if that is impossible, say so and load a tiny model instead."""
    places = [{"local_files_only": True}] + ([{}] if _hub_is_reachable() else [])
    for where in places:
        with contextlib.suppress(OSError):  # not in the cache, or the download failed
            return load(name, **where)
    print(
        f"{name} is not in this machine's Hugging Face cache and cannot be downloaded ({size}). A tiny untrained "
        "model takes its place: its output means nothing. To get the real one, go online and run this cell again, "
        f"or copy the files of https://huggingface.co/{name} into a folder and pass the folder's name."
    )
    return load(make_tiny(), local_files_only=True)


def _hub_is_reachable(seconds=3.0):
    """Return whether a download is worth trying; the hub's own code gives up only after most of a minute."""
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
    """Load a picture of your own, or a photograph that comes with scikit-learn (Creative Commons Attribution).

    Args:
        name: File name of a picture (JPEG, PNG and most other kinds); or `"china"` (a temple) or `"flower"`, for
            one of the two photographs.

    Returns:
        The picture, uint8 (height, width, 3) in [0, 255], turned upright if the camera says how it was held.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    from PIL import Image, ImageOps
    from sklearn.datasets import load_sample_image

    if name in ("china", "flower"):
        return np.array(load_sample_image(f"{name}.jpg"))
    if not Path(name).is_file():
        raise FileNotFoundError(f"load_photo: there is no file {name} in {Path.cwd()}.")
    with Image.open(name) as picture:
        return np.array(ImageOps.exif_transpose(picture).convert("RGB"))


def plot_predicted_labels(image, predictions):
    """Show a picture next to its most probable labels.

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
