"""What a student reads when a known mistake is recognised: what happened and what to look at, not the solution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np

from autograder.checking.comparisons import Answers, Floats, fail
from autograder.checking.remote import Layer

SENTENCES = {
    "unscaled": "Your scores are not scaled. Without a factor that depends on the size of the queries, large "
    "dot products saturate the softmax; look at equation 1 again.",
    "scaled_by_d": "You divide the scores by the size d of the queries itself. Which function of d keeps the variance "
    "of the scores near 1?",
    "scale_inverted": "Your scale has the wrong direction: the scores grow with the size of the queries instead of "
    "being held back.",
    "scaled_by_wrong_size": "You scale by the number of keys. The scale belongs to the feature size of queries and "
    "keys, their last axis.",
    "scaled_by_value_size": "You scale by the feature size of the values. The scale belongs to the feature size of "
    "queries and keys.",
    "scaled_by_model_size": "You scale by the size of the inputs Q and K. Inside a head, the queries have another size: "
    "that of their last axis after the projection.",
    "scaled_by_shared_size": "You scale as if the heads shared proj_size among them. Here each head is proj_size wide.",
    "scaled_after_softmax": "You scale after the softmax, so that the weights of a query no longer sum to 1. Scale the "
    "scores before it.",
    "softmax_over_queries": "Your weights sum to 1 over the queries. The softmax must run over the keys, the last axis "
    "of the scores.",
    "softmax_over_batch": "Your softmax runs over the batch axis. It must run over the keys, the last axis of the scores.",
    "softmax_missing": "Your weights are the scores themselves: the softmax is missing.",
    "softmax_overflows": "With large scores your output holds inf or nan: an exponential overflows. A softmax stays the same "
    "when a constant is taken from all scores of a query.",
    "output_and_weights_swapped": "You return the attention weights where the output belongs, and the output where the "
    "weights belong.",
    "weights_for_output": "You return the attention weights where the output belongs: the weights still have to be "
    "applied to the values.",
    "heads_not_merged": "Your heads are joined by a reshape while the head axis still stands before the tokens, so "
    "values of different tokens are mixed. Move the head axis next to the features first.",
    "values_from_keys": "Your values are made from K. They must be made from V.",
    "values_ignored": "V has no effect on your output. The values must be made from V.",
    "key_projection_for_values": "You project V with the weights of the keys. It has a projection of its own.",
    "query_projection_reused": "You project K with the weights of the queries. It has a projection of its own.",
    "narrow_heads": "Your heads share proj_size among them. In this lab each head is proj_size wide.",
    "biased_projections": "Your projections have biases. The layer has none.",
    "wrong_number_of_weights": "The number of weights is not that of four projections without bias.",
    "non_linearity_missing": "There is no non-linearity between your dense layers, so together they are one linear map.",
    "non_linearity_of_other_kind": "The non-linearity between your dense layers is neither ReLU nor GELU.",
    "dropout_always_on": "Two calls in inference differ: your dropout is active outside training too.",
    "dropout_never_on": "Two calls in training are equal: your dropout is never active.",
    "dropout_rate_ignored": "Your dropout has another rate than the one that is asked for.",
    "no_attention_dropout": "There is no dropout between the attention and its residual addition.",
    "pre_norm": "You normalise before attention and mlp (pre-norm). The encoder layer of the paper normalises after each "
    "residual addition (post-norm).",
    "no_attention_residual": "The residual connection around the attention is missing.",
    "no_mlp_residual": "The residual connection around the mlp is missing.",
    "residual_from_input": "The second residual adds the block's input. It must add what went into the mlp.",
    "no_first_norm": "The layer normalisation after the attention's residual is missing.",
    "no_second_norm": "The layer normalisation after the mlp's residual is missing.",
    "residual_before_norm_of_sublayer": "You normalise the mlp's output by itself and add the residual after that. The sum is "
    "what is normalised.",
    "norm_before_residual": "You normalise the outputs of attention and mlp by themselves and add the residuals after that. The "
    "sums are what is normalised.",
    "no_mlp": "The mlp has no effect on your block's output.",
    "no_attention": "The attention has no effect on your block's output.",
    "mlp_of_input": "Your mlp works on the block's input. It must work on the normalised output of the attention part.",
    "patches_by_columns": "Your patches come column by column. They must come row by row.",
    "pixels_by_columns": "Inside a patch, your pixels come column by column. They must come row by row.",
    "channels_before_pixels": "Inside a patch, all values of one channel come first. The order is row, column, channel.",
    "image_only_reshaped": "You only reshape the image, so that a patch holds pixels of whole rows. A patch is a square: "
    "the axes must be split and moved before they are joined.",
    "grid_axes_not_moved": "You split the image into a grid but join the axes again in the old order.",
    "pixels_spread_by_rates": "Your patches take pixels from all over the image: `rates` is the step between pixels of one "
    "patch, `strides` the step between patches.",
    "no_position_on_class_token": "The class token gets no position embedding. All tokens do.",
    "no_position": "No position embedding is added.",
    "no_class_token": "There is no class token in your output.",
    "class_token_misplaced": "The position embeddings are added before the class token is put in, or in another order.",
    "class_token_per_image": "Your class token differs from image to image before any attention. It is one learned vector, the same "
    "for all images.",
    "one_position_for_all": "The same position embedding is added to every token.",
    "class_token_not_trainable": "Your class token is not trainable.",
    "projection_without_bias": "Your projection of the patches has no bias.",
    "softmax_on_logits": "Your model's outputs are probabilities. It must return logits: the softmax is part of the loss.",
    "class_token_not_read": "The logits change with the image even when no attention carries anything to the class token, "
    "so your classifier reads patches (flattened, averaged, or one of them) instead of the class token.",
    "image_not_seen": "The logits are the same for different images.",
    "pixels_in_0_1": "Your pixels lie in [0, 1]. They must lie in [-1, 1].",
    "pixels_not_scaled": "Your pixels still reach up to 255. They must lie in [-1, 1].",
    "one_hot_labels": "Your labels are one-hot. They must stay integers, one for each image.",
    "labels_separated": "Images and labels were shuffled apart: a label no longer belongs to its image.",
    "split_order_mixed": "Images stand where labels belong: `train_test_split` returns both parts of the images first, then "
    "both parts of the labels.",
    "not_from_training_images": "Some of these images are not in `X_train`. Both sets are made from the training images; the "
    "test images stay out of it.",
    "images_dropped": "Some training images are in neither of the two sets.",
    "images_in_both": "Some images are in the training set and in the validation set.",
    "wrong_split_size": "The validation set must hold 25 % of the training images.",
    "best_not_reloaded": "After training, the model still has the weights of the last epoch, although an earlier one had a "
    "better validation accuracy. Reload the checkpoint before you test.",
    "loss_not_from_logits": "The loss is not the cross-entropy of these logits. Does your loss know that it gets logits?",
    "trained_on_validation_data": "The model learned the labels of the validation set, which it must only be measured on.",
    "tracker_not_started": "The tracker is never started: call its `epoch_start()`.",
    "tracker_not_ended": "The tracker is started but its epoch never ends, so nothing is computed: call `epoch_end()`.",
    "tracker_beside_training": "Some of the training happens before the tracker is started or after its epoch has ended.",
    "settings_not_passed_on": "The settings (epochs, batch_size, ...) do not reach `run_experiment`.",
    "model_params_other": "`model_params` is not what the table asks for.",
    "label_number": "A label is a text. `model.config.id2label` turns the number of a class into it.",
    "worst_label_first": "You start with the least probable label: the sorting goes the wrong way.",
    "pixels_not_prepared": "The model gets raw pixels. The processor that belongs to it prepares them.",
    "pixels_only_divided": "The model gets pixels in [0, 1], which is not what it was trained on. The processor that belongs "
    "to it prepares them.",
    "logits_for_probabilities": "These numbers are no probabilities: they do not lie between 0 and 1 with a sum of at most 1.",
    "not_adam": "The first step of the training is not that of Adam: it has another size for each weight. Which optimiser do "
    "you compile with?",
    "batch_size_ignored": "The number of training steps is not that of the given batch size.",
    "learning_rate_ignored": "The weights move by steps of another size than the given `learning_rate`.",
    "nothing_learned": "The training changed nothing: the loss does not fall.",
}


def answers(right: Floats | Sequence[Floats], wrong: Mapping[str, Floats] | None = None) -> Answers:
    """Return right and wrong values together with this assignment's sentences."""
    accepted = [right] if isinstance(right, np.ndarray) else list(right)
    return Answers(accepted, wrong or {}, SENTENCES)


def expect_dropout(calm: Sequence[Floats], lively: Sequence[Floats]) -> None:
    """End the check unless two calls in inference are equal and two in training differ."""
    if not np.array_equal(calm[0], calm[1]):
        blame("dropout_always_on")
    if not np.any(calm) and not np.any(lively):
        fail("The output: all values are zero.", "only_zeros")
    if np.array_equal(lively[0], lively[1]):
        blame("dropout_never_on")


def expect_rates(model: Layer, *rates: float) -> None:
    """End the check if the model's Dropout layers have other rates than these; no such layer at all passes."""
    found = {round(part.settings["rate"], 4) for part in model.parts() if part.kind == "Dropout"}
    if found - set(rates):
        blame("dropout_rate_ignored")
    if found and found != set(rates):
        missing = min(set(rates) - found)
        fail(f"No Dropout layer of the model has the rate {missing}, which one of the arguments asks for.")


def blame(slug: str) -> NoReturn:
    """End the check with a misconception's sentence."""
    fail(SENTENCES[slug], slug)
