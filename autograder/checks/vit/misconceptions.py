"""What a student reads when a known mistake is recognised: what happened and what to look at, not the solution."""

from __future__ import annotations

from typing import NoReturn

from autograder.checking.comparisons import fail

SENTENCES = {
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


def blame(slug: str) -> NoReturn:
    """End the check with a misconception's sentence."""
    fail(SENTENCES[slug], slug)
