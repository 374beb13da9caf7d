# Text that runs behind the wall after `parts.py`: what the notebook's answers leave behind, on several data sets.
# An answer is run by `exec` in a namespace of its own, between what it finds and what is looked at.
from contextlib import suppress
from pathlib import Path


def images_of(count, seed, side=4):
    """Return images, each of which tells its number in its first pixels, and labels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, size=(count, side, side, 3)).astype("uint8")
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.arange(count) // 200, np.arange(count) % 200
    return images, rng.integers(0, 10, size=count).astype("uint8")


def run(answer, **names):
    """Return the names that there are after an answer was run with these, the notebook's own beside them.

    An answer is what it defined: what raises after that is not looked at, as it is not graded.
    """
    space = {**{name: value for name, value in globals().items() if not name.startswith("look_at")}, **names}
    with suppress(Exception):
        exec(compile(answer, "<answer>", "exec"), space)
    return space


def numbers_in(images):
    """Return the numbers of images, as their first pixels tell them."""
    pixels = np.asarray(images).reshape(len(images), -1).astype(int)
    return pixels[:, 0] * 200 + pixels[:, 1]


def look_at_data_split_answer(answer):
    looks = Looks()
    for number, count in enumerate((400, 200, 120)):
        looks.at(f"{count} images", lambda number=number, count=count: split_of(answer, number, count))
    looks.at("labels in a column", lambda: split_of(answer, 7, 200, column=True))
    return looks


def split_of(answer, seed, count, column=False):
    """Return what is fixed of a split: sizes, completeness, labels; which images were chosen is free, if at random."""
    images, labels = images_of(count, seed)
    labels = np.sort(labels)[:, None] if column else labels
    test_images, test_labels = images_of(40, seed + 100)
    given = {"X_train": images, "Y_train": labels, "X_test": test_images, "Y_test": test_labels}
    space = run(answer, **{name: value.copy() for name, value in given.items()})
    train, val = numbers_in(space["Xtrain"]), numbers_in(space["Xval"])
    chosen = np.isin(np.arange(count), val)
    whole = sorted([*train.tolist(), *val.tolist()])
    known = [
        np.array_equal(np.asarray(space[f"X{part}"]), images[places])
        for part, places in (("train", train), ("val", val))
    ]
    belong = [
        np.array_equal(np.asarray(space[f"Y{part}"]).ravel(), labels.ravel()[places])
        for part, places in (("train", train), ("val", val))
    ]
    by_label = chosen[np.argsort(labels.ravel(), kind="stable")]
    return {
        "sizes": [len(train), len(val), len(space["Ytrain"]), len(space["Yval"])],
        "each once": whole == list(range(count)),
        "images": known,
        "labels": belong,
        "by order": bool(runs_off(chosen) or runs_off(by_label)),
        "test data": [np.array_equal(space["X_test"], test_images), np.array_equal(space["Y_test"], test_labels)],
        "types": [str(np.asarray(space[name]).dtype) for name in ("Xtrain", "Xval", "Ytrain", "Yval")],
    }


def runs_off(chosen):
    """Whether a choice has far too few or too many runs to be random."""
    runs, whole, some = 1 + int((chosen[1:] != chosen[:-1]).sum()), len(chosen), int(chosen.sum())
    mean = 1 + 2 * some * (whole - some) / whole
    return some in (0, whole) or abs(runs - mean) > 5 * ((mean - 1) * (mean - 2) / (whole - 1)) ** 0.5


def look_at_preprocessing_answer(answer):
    looks = Looks()
    for seed in (1, 2, 3):
        looks.at(f"data {seed}", lambda seed=seed: prepared_by(answer, seed))
    return looks


def prepared_by(answer, seed):
    images, labels = images_of(60 + seed, seed)
    images[1], images[2] = 0, 255
    test_images, test_labels = images_of(20, seed + 100)
    names = {"Xtrain": images[:40], "Xval": images[40:], "Ytrain": labels[:40], "Yval": labels[40:], "X_train": images}
    names |= {"Y_train": labels, "X_test": test_images, "Y_test": test_labels}
    space = run(answer, **{name: value.copy() for name, value in names.items()})
    found = {name: np.asarray(space[name]) for name in ("Xtrain", "Xval", "Xtest", "Ytrain", "Yval", "Ytest")}
    flat = {name: value.ravel().astype(int) if name[0] == "Y" else value for name, value in found.items()}
    types = [value.dtype.kind if name[0] == "Y" else value.dtype.name for name, value in found.items()]
    return {**flat, "types": types}


def look_at_vit_model_answer(answer):
    looks = Looks()

    def settings():
        made = []

        def create(**settings):
            made.append(settings)
            return f"model {len(made)}"

        space = run(answer, create_vit_classifier=create)
        return {"model_params": space["model_params"], "made": made[-1], "vit": space["vit"] == f"model {len(made)}"}

    looks.at("settings", settings)
    return looks


class Noted(keras.Sequential):
    """A model that notes on how many images it is evaluated, with which weights."""

    def evaluate(self, x=None, y=None, *args, **kwargs):
        if x is not None and not hasattr(x, "element_spec"):
            self.notes.append([float(np.sum(x)), float(np.sum(self.get_weights()[-1]))])
        return super().evaluate(x, y, *args, **kwargs)


def network(layers):
    model = Noted([keras.layers.Input((3, 3, 1)), keras.layers.Flatten(), *layers])
    model.notes = []
    return model


def training_data(seed):
    """Return data that a network overfits, so that the best epoch is not the last."""
    rng = np.random.default_rng(seed)
    sizes = (44, 30, 20)
    return [(rng.normal(size=(size, 3, 3, 1)).astype("float32"), rng.integers(0, 4, size)) for size in sizes]


def look_at_training_answer(answer):
    looks = Looks()
    looks.at("defaults", lambda: defaults(run(answer)["run_experiment"]))
    for seed in (1, 2):
        looks.at(f"tested {seed}", lambda seed=seed: trained_by(answer, seed, [], run_testing=True))
        if QUICK:
            return looks

    def deep():
        return [keras.layers.Dense(6, "relu"), keras.layers.Dense(5, "tanh")]

    looks.at("not tested", lambda: trained_by(answer, 3, deep(), run_testing=False))
    looks.at("by position", lambda: trained_by(answer, 4, [], 3, 8, 0.02))
    return looks


def trained_by(answer, seed, layers, *given, **settings):
    keras.utils.set_random_seed(seed)
    model, folder = network([*layers, keras.layers.Dense(4)]), f"weights{seed}{len(given)}"
    start = model.get_weights()
    data = training_data(seed)
    experiment = run(answer)["run_experiment"]
    before = files_below(".")
    if given:
        os.makedirs("by_position", exist_ok=True)
        history = experiment(model, *data, *given, "by_position", True)
    else:
        os.makedirs(folder, exist_ok=True)
        history = experiment(model, *data, epochs=6, batch_size=16, learning_rate=0.3, ckpt_path=folder, **settings)
    folders = sorted(
        {
            os.path.dirname(path).split(os.sep)[1] if os.sep in os.path.dirname(path) else "here"
            for path in files_below(".") - before
        }
    )
    return {
        "weights": model.get_weights(),
        "moved": [float(np.abs(one - two).max()) for one, two in zip(model.get_weights(), start, strict=False)],
        "history": {name: np.array(values, "float32") for name, values in sorted(history.history.items())},
        "tests": model.notes,
        "folders": folders,
        "kind": type(history).__name__,
        "trainable": [layer.trainable for layer in model.layers],
    }


def files_below(folder):
    return {os.path.join(place, name) for place, _, names in os.walk(folder) for name in names}


class NotedTracker:
    """Stands for the carbon tracker and notes what is asked of it."""

    def __init__(self, events, *given, **settings):
        self.events = events

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.events.append(name)


def look_at_carbon_answer(answer):
    looks = Looks()
    for settings in ({"epochs": 3, "batch_size": 5, "learning_rate": 0.1, "run_testing": False}, {"epochs": 2}, {}):
        looks.at(f"settings {sorted(settings)}", lambda settings=settings: measured_by(answer, settings))
    return looks


def measured_by(answer, settings):
    """Return what happened in which order: the tracker's steps and the training with what it was given."""
    events = []

    def experiment(  # the lab's own signature: answers may give each setting by place or by name
        model,
        training_data,
        validation_data,
        test_data,
        epochs=30,
        batch_size=64,
        learning_rate=1e-4,
        ckpt_path=".",
        run_testing=True,
    ):
        given = [training_data, validation_data, test_data, epochs, batch_size, learning_rate, run_testing]
        events.append(["trained", model, *map(str, given), str(ckpt_path).split(os.sep)[0]])
        return "history"

    def tracker(log_dir, *args, **kwargs):
        events.append(["tracker", str(log_dir)])
        return NotedTracker(events)

    space = run(answer, run_experiment=experiment, make_carbon_tracker=tracker)
    result = space["measure_footprint"]("model", "logs", "training", "validation", "test", **settings)
    return {"events": [event for event in events if event != "stop"], "result": result}


def look_at_pretrained_answer(answer):
    looks = Looks()
    labels = [f"label {number}, also {number + 50}" for number in range(12)]
    folder = utilities.save_tiny_vit("tiny", labels)
    processor, model = utilities.load_pretrained_vit(folder)
    for number, weight in enumerate(model.weights):
        if len(weight.shape) > 1:
            weight.assign(drawn(*weight.shape, seed=f"p{number}", size=1.5 / np.prod(weight.shape[:-1]) ** 0.5))
    looks.at("defaults", lambda: defaults(run(answer)["classify_image"]))
    for seed, shape, settings in (
        (1, (32, 32), {}),
        (2, (50, 80), {}),
        (3, (40, 30), {"n_labels": 7}),
        (4, (32, 32), {"n_labels": 1}),
    ):
        image = np.random.default_rng(seed).integers(0, 256, size=(*shape, 3)).astype("uint8")

        def classified(image=image, settings=settings):
            answers = run(answer)["classify_image"](image, processor, model, **settings)
            return [
                [label if isinstance(label, (str, int)) else type(label).__name__, float(np.asarray(chance).ravel()[0])]
                for label, chance in answers
            ]

        looks.at(f"{shape} {settings}", classified)
    return looks
