"""Wrong submissions of `PatchExtractor`."""

from ..edits import Edit

_USERS = ("vit_model",)
"""The tasks that build on this one."""

EDITS: tuple[Edit, ...] = (
    Edit(
        slug="patches-dilated",
        base="einsum",
        replace=(('rates=[1, 1, 1, 1], padding="VALID"', 'rates=size, padding="SAME"'),),
        task="patch_extractor",
        misconception="dilated_patches",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-overlapping",
        base="einsum",
        replace=(
            (
                'strides=size, rates=[1, 1, 1, 1], padding="VALID"',
                'strides=[1, 1, 1, 1], rates=[1, 1, 1, 1], padding="SAME"',
            ),
        ),
        task="patch_extractor",
        misconception="overlapping_patches",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-column-by-column-by-definition",
        base="by_definition",
        replace=(("perm=[0, 1, 3, 2, 4, 5]", "perm=[0, 3, 1, 2, 4, 5]"),),
        task="patch_extractor",
        misconception="patches_column_by_column",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-column-by-column-dense-loops",
        base="dense_loops",
        replace=(
            ("for top in range(0, height, self.size):", "for left in range(0, width, self.size):"),
            ("for left in range(0, width, self.size):", "for top in range(0, height, self.size):"),
        ),
        task="patch_extractor",
        misconception="patches_column_by_column",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-pixels-transposed",
        base="by_definition",
        replace=(("perm=[0, 1, 3, 2, 4, 5]", "perm=[0, 1, 3, 4, 2, 5]"),),
        task="patch_extractor",
        misconception="pixels_transposed",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-images-transposed",
        base="wide_dense",
        replace=(("tf.nn.space_to_depth(images, ", "tf.nn.space_to_depth(tf.transpose(images, (0, 2, 1, 3)), "),),
        task="patch_extractor",
        misconception="images_transposed",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-channels-first",
        base="by_definition",
        replace=(("perm=[0, 1, 3, 2, 4, 5]", "perm=[0, 1, 3, 5, 2, 4]"),),
        task="patch_extractor",
        misconception="channels_first",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-reshape-only",
        base="by_definition",
        replace=(("        x = tf.transpose(x, perm=[0, 1, 3, 2, 4, 5])  # (B, row, column, p, p, C)\n", ""),),
        task="patch_extractor",
        misconception="reshape_only",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-rows-of-pixels",
        base="wide_dense",
        replace=(
            (
                "return tf.reshape(blocks, (-1, blocks.shape[1] * blocks.shape[2], blocks.shape[3]))",
                "return tf.reshape(images, (-1, blocks.shape[1] * blocks.shape[2], blocks.shape[3]))",
            ),
        ),
        task="patch_extractor",
        misconception="reshape_only",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-channels-hard-coded",
        base="by_definition",
        replace=(("channels = images.shape[3]", "channels = 3"),),
        task="patch_extractor",
        misconception="channels_hard_coded",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-size-ignored",
        base="wide_dense",
        replace=(("space_to_depth(images, self.patch_size)", "space_to_depth(images, 16)"),),
        task="patch_extractor",
        misconception="patch_size_ignored",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-size-means-count",
        base="by_definition",
        replace=(
            ("p = self.patch_size\n", "n = self.patch_size\n"),
            ("n = images.shape[1] // p", "p = images.shape[1] // n"),
        ),
        task="patch_extractor",
        misconception="patch_size_means_count",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-grid-not-flattened",
        base="wide_dense",
        replace=(("flatten=True", "flatten=False"),),
        task="patch_extractor",
        misconception="grid_not_flattened",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-of-all-images-in-one-list",
        base="dense_loops",
        replace=(("return tf.stack(patches, axis=1)", "return tf.concat(patches, axis=0)"),),
        task="patch_extractor",
        misconception="batch_axis_lost",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-images-mixed-up",
        base="dense_loops",
        replace=(
            (
                "return tf.stack(patches, axis=1)",
                "return tf.reshape(tf.stack(patches), (-1, len(patches), self.size * self.size * channels))",
            ),
        ),
        task="patch_extractor",
        misconception="images_mixed_up",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-last-row-missing",
        base="dense_loops",
        replace=(("range(0, height, self.size)", "range(0, height - self.size, self.size)"),),
        task="patch_extractor",
        misconception="patches_missing",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-first-repeated",
        base="dense_loops",
        replace=(
            (
                "images[:, top : top + self.size, left : left + self.size, :]",
                "images[:, : self.size, : self.size, :]",
            ),
        ),
        task="patch_extractor",
        misconception="first_patch_repeated",
        suffers=_USERS,
    ),
    Edit(
        slug="patches-return-zeros",
        base="einsum",
        replace=(("return tf.reshape(patches,", "return tf.reshape(tf.zeros_like(patches),"),),
        task="patch_extractor",
        misconception="returns_zeros",
        suffers=_USERS,
    ),
)
