"""The freedoms of the lab `vit`, as its contract states them; written down before any mutant was graded."""

from __future__ import annotations

import itertools

from autograder.audit.mutants.freedoms import Freedom

MODULE_TASKS = (
    "attention",
    "multi_head_attention",
    "mlp",
    "transformer_block",
    "patch_extractor",
    "patch_encoder",
    "vit_model",
)
WITH_WEIGHTS = ("multi_head_attention", "mlp", "transformer_block", "patch_encoder", "vit_model")
NETWORKS = tuple(itertools.product(("relu", "gelu"), (None, "relu", "gelu"), (1, 0, 2)))
"""Non-linearity after the hidden layers and after the last one, and how many dropouts follow that."""
IN_INFERENCE = "(?!.*training|.*samples|.*variables).*(output|flagged|gradients|again|large|batches|model).*"
BATCHES = "batch_size=batch_size"
NO_VARIABLES = "(?!.*variables|defaults).*"

FREEDOMS = (
    Freedom(
        "initial values",
        "The grader sets the weights: of initial values only those lose a point from which nothing can be learned.",
        WITH_WEIGHTS,
        "initial values",
    ),
    Freedom(
        "saved layer",
        "`get_config` and saving whole models are no part of a task.",
        ("patch_extractor",),
        "configuration",
    ),
    Freedom(
        "other number types",
        "Inputs are float32; a cast to float32 is accepted.",
        MODULE_TASKS,
        "float64|whole numbers",
    ),
    Freedom(
        "sizes unknown before",
        "Models are built for images and tokens of a known size.",
        ("attention", "mlp"),
        "(sizes|tokens) unknown before.*",
    ),
    Freedom(
        "defaults of the model",
        "create_vit_classifier's keywords have defaults; which ones is left open.",
        ("vit_model",),
        "defaults",
    ),
    Freedom(
        "given signature",
        "The cell gives the signature of run_experiment; grading and the lab's cells give every setting.",
        ("training",),
        "defaults",
    ),
    Freedom(
        "settings that are left out",
        "The lab's cell and grading give measure_footprint every setting; what holds without one is left open.",
        ("carbon",),
        r"settings \[('epochs')?\]",
    ),
    Freedom(
        "half precision",
        "A probability may be rounded as half precision rounds it; whoever reads it sees no more digits.",
        ("pretrained",),
        most=1e-3,
    ),
    Freedom(
        "augmentation",
        "create_vit_classifier may take data_augmentation or not; no task gives it one.",
        ("vit_model",),
        "augmented",
    ),
    Freedom(
        "epsilon",
        "Any epsilon of a layer normalisation up to 1e-3.",
        ("transformer_block", "vit_model"),
        NO_VARIABLES,
        most=2e-3,
    ),
    Freedom(
        "order of WO's rows",
        "Heads may be joined interleaved: the order of WO's rows is free.",
        ("multi_head_attention",),
        IN_INFERENCE,
        call="output_columns()",
    ),
    Freedom(
        "order of the heads of a projection",
        "Which part of WQ, WK or WV belongs to which head is free.",
        ("multi_head_attention",),
        IN_INFERENCE,
        call="heads_in_any_order()",
        any_of_it=True,
    ),
    Freedom(
        "class token last",
        "The class token may come last, its row of the table at either end.",
        ("patch_encoder",),
        IN_INFERENCE,
        call="encoded_in_any_order()",
    ),
    Freedom(
        "saving of weights",
        "Weights are saved by Keras in the order of the layers; no task asks for it.",
        MODULE_TASKS,
        "saved and loaded",
    ),
    Freedom(
        "non-linearities and dropout of the mlp",
        "ReLU or GELU; one after the last Dense, too; dropout after each Dense or the hidden ones, or twice last.",
        ("mlp",),
        NO_VARIABLES,
        other_ways=tuple(f"look_at_mlp(right_mlp{choice})" for choice in NETWORKS),
    ),
    Freedom(
        "non-linearities and dropout of the head",
        "The head may be an mlp alone, or with a non-linearity behind it.",
        ("vit_model",),
        NO_VARIABLES,
        other_ways=tuple(f"look_at_vit_model(right_vit{choice})" for choice in NETWORKS),
        most=2e-3,
    ),
    Freedom(
        "two dropouts behind the mlp",
        "The mlp may end with a dropout, and the block may have one of its own.",
        ("transformer_block",),
        NO_VARIABLES,
        other_ways=("look_at_transformer_block(dropping_twice)",),
        most=2e-3,
    ),
    Freedom(
        "order of the samples",
        "Samples may be shuffled or not: with samples that are alike nobody could tell.",
        ("training",),
        other_ways=(f"look_at_training_answer(answer.replace({BATCHES!r}, {BATCHES + ', shuffle=False'!r}, 1))",),
    ),
)
