"""Alternatives: parts that are right in another way, and stand in where the first ones do not fit a student's own."""


class PatchEncoder(PatchEncoder):
    """The solved module's, with the class token last, for classifiers that read it there."""

    def call(self, patches):
        """Encode patches, (batch, patches, patch_dim), as tokens, (batch, patches + 1, projection_dim)."""
        tokens = super().call(patches)
        return tf.concat([tokens[:, 1:], tokens[:, :1]], axis=1)
