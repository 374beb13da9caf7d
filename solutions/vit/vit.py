# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Vision Transformers
#
# In the earlier labs you met two ways to process structured data: convolutions, which look at a
# small neighbourhood, and recurrent networks, which walk along a sequence step by step. A
# *transformer* does neither. It lets every element of its input look at every other element, and it
# learns where to look. The operation behind this is called **attention**.
#
# In this lab you build attention from two matrix products, put it into a transformer, and use the
# transformer to classify images. The result is the **Vision Transformer** (ViT). At the end you
# should be able to explain what attention computes, why it is scaled, what several heads are good
# for, how an image becomes a sequence, and what it costs to do without convolution.
#
# **How to work.** You write in two places:
#
# * `utilities.py` holds the parts of the model. Fill in what is marked `YOUR CODE HERE`, from top
#   to bottom. Read each docstring first: it says what goes in, what comes out, and in which shape.
#   (Data, plots and public tests are given, in `lab_tools.py` and `public_tests.py`.)
# * In this notebook you fill in a few cells and answer questions in words.
#
# Every task follows the same pattern: what to build, a hint, and a cell with a **public test** that
# you can run as often as you like. Below it is a cell where **hidden checks** run when your work is
# graded. They test the same contract with other sizes and values, so code that works for one shape
# only, or that returns a hard-coded number, does not pass. Please leave these cells as they are.
#
# **Names of the axes.** Most mistakes in this lab are mistakes about axes. We use the same names
# everywhere:
#
# | name | meaning | in formulas |
# |---|---|---|
# | `batch` | images that are processed at the same time | $B$ |
# | `tokens` | elements of the sequence: patches and the class token | $N$ |
# | `queries`, `keys` | tokens that ask, and tokens that are asked (each key has one value) | $N_q$, $N_k$ |
# | `heads` | attention heads | $H$ |
# | `head_dim` | features of one head | $d$ |
# | `model_dim` | features of a token between the layers | $D$ |
# | `patch_dim` | numbers in one patch | $p^2 C$ |
#
# **Papers.** Vaswani et al. (2017), [Attention Is All You Need](https://arxiv.org/abs/1706.03762);
# Dosovitskiy et al. (2021), [An Image is Worth 16x16 Words](https://arxiv.org/abs/2010.11929).

# %% [markdown]
# ## 1. Set-up
#
# After the first cell, the notebook notices when you save `utilities.py`, so you need not restart it
# after a change, and the libraries print less. (TensorFlow may still print lines about oneDNN or CUDA
# on a red background when it starts; they are not errors.) All layers come from `tf_keras`, which is
# imported as `keras`. Never mix in layers of `tf.keras`: a `tf_keras` model does not see their
# weights, gives no warning, and never trains them.

# %%
# %load_ext autoreload
# %autoreload 2
import os

os.environ.update({"TF_CPP_MIN_LOG_LEVEL": "3", "TRANSFORMERS_VERBOSITY": "error"})

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["grading"]
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
import tf_keras as keras
from IPython.display import Markdown, display
from sklearn.model_selection import train_test_split
from utilities import (
    MultiHeadAttention,
    PatchEncoder,
    PatchExtractor,
    build_cnn_baseline,
    choose_profile,
    create_vit_classifier,
    footprint_table,
    load_images,
    load_photo,
    load_pretrained_vit,
    load_summariser,
    make_carbon_tracker,
    plot_class_token_attention,
    plot_classifier_training_history,
    plot_footprints,
    plot_original_and_patched_version,
    plot_position_similarity,
    plot_predicted_labels,
    plot_training_examples,
    read_footprint,
    scaled_dot_product_attention,
    test_create_vit_classifier,
    test_mlp,
    test_MultiHeadAttention,
    test_PatchEncoder,
    test_PatchExtractor,
    test_scaled_dot_product_attention,
    test_TransformerBlock,
)

keras.utils.set_random_seed(0)  # the same start in every run

# %% [markdown]
# ### Is there a GPU?
#
# A GPU computes the matrix products of this lab 10 to 100 times as fast as a processor. The cell below shows what
# TensorFlow finds. If your machine has a GPU that is not listed, its driver or TensorFlow's GPU support is missing;
# the [installation guide](https://www.tensorflow.org/install) helps. The quick profile does not need a GPU.

# %%
gpus = tf.config.list_physical_devices("GPU")
print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}")
for gpu in gpus:
    print(f"{gpu.name}: {tf.config.experimental.get_device_details(gpu).get('device_name', 'unknown model')}")
if not gpus:
    print("No GPU found.")

# %% [markdown]
# ### Profile
#
# The **profile** says how large this run is:
#
# | | `"quick"` | `"full"` |
# |---|---|---|
# | images | 1797 digits that come with scikit-learn | 10,000 + 2,000 images of CIFAR-10 (170 MB, downloaded once) |
# | trained in section 10 | the small model | the large model of section 9 |
# | small model | width 64, 4 heads, 3 layers | width 512, 4 heads, 3 layers |
# | time for the whole notebook | minutes on a laptop | one to two hours on a good GPU, far too long without one |
#
# `choose_profile` picks the full profile if there is a GPU *and* CIFAR-10 has been downloaded, and says what it picked.
# Do everything in the quick profile first. To decide yourself, write `profile = "full"` or `profile = "quick"` in the
# next cell (you may change it, it is not graded), and run the notebook again from there. To get CIFAR-10, run
# `load_images("cifar10")` once while you are online. When your work is graded, a third, even smaller profile is used.

# %% tags=["grading"]
profile = choose_profile()  # or "quick", or "full"

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "parameters", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["parameters", "grading"]
# Sizes of this run.
full = profile == "full"
dataset = "cifar10" if full else "digits"
n_train, n_test = 10_000, 2_000  # or as many as there are
epochs, batch_size, learning_rate = (30, 64, 1e-4) if full else (40, 64, 1e-3)
carbon_epochs = 30 if full else 15
small_model_params = {
    "input_shape": (32, 32, 3),
    "num_classes": 10,
    "patch_size": 16 if full else 8,
    "embedding_proj_dim": 512 if full else 64,
    "num_heads": 4,
    "msa_proj_dim": 512 if full else 64,
    "transformer_layers": 3,
    "msa_dropout_rate": 0.1,
    "mlp_classification_head_units": [2048] if full else [128],
    "mlp_classification_head_dropout_rate": 0.5 if full else 0.2,
}

# %% [markdown]
# ## 2. Attention before transformers: Nadaraya–Watson regression
#
# Attention is older than transformers. In 1964, Nadaraya and Watson each proposed the following way to predict a
# number. You have $n$ training points $x_1, \dots, x_n \in \mathbb{R}$ with values $y_1, \dots, y_n \in \mathbb{R}$, and
# want to predict the value at a new point $x \in \mathbb{R}$. The mean of all $y_i$ would ignore $x$. A *weighted* mean is
# better, in which a training point counts more the closer it is to $x$:
#
# $$
# \hat{y}(x) = \sum_{i=1}^{n} a_i(x)\, y_i , \qquad
# a_i(x) = \frac{\exp\!\big(-(x - x_i)^2 / (2 \sigma^2)\big)}{\sum_{j=1}^{n} \exp\!\big(-(x - x_j)^2 / (2 \sigma^2)\big)} .
# $$
#
# Read this in the language of the next section. The new point $x$ is a **query**: it asks. The training points $x_i$ are
# **keys**: they are compared with the query. The $y_i$ are the **values** that belong to the keys. The weights $a_i(x)$ are
# positive and sum to 1: they are a **softmax** over the keys of the scores $s_i = -(x - x_i)^2 / (2 \sigma^2)$. And the
# prediction is the mixture of the values with these weights. The width $\sigma > 0$ of the kernel says how far a query looks.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $x$ | queries: points at which to predict | $(N_q)$, here 70 |
# | $x_i$, $y_i$ | keys and values: the training points | $(N_k)$, here 50 |
# | $a_i(x)$ | attention weights, one row for each query | $(N_q, N_k)$ |
# | $\hat{y}$ | predictions | $(N_q)$ |

# %%
def true_function(x):
    return 2 * np.sin(x) + x


def nadaraya_watson(queries, keys, values, sigma):
    """Return predictions, (queries,), and attention weights, (queries, keys)."""
    scores = -((queries[:, None] - keys[None, :]) ** 2) / (2 * sigma**2)  # (queries, keys)
    weights = tf.nn.softmax(scores, axis=-1).numpy()  # each row sums to 1
    return weights @ values, weights


rng = np.random.default_rng(0)
x_keys = np.sort(rng.uniform(0, 10, size=50))
y_values = true_function(x_keys) + rng.normal(size=50)  # unit noise
x_queries = np.linspace(0, 10, 70)
sigmas = (0.1, 0.5, 1.0, 4.0)
regressions = {sigma: nadaraya_watson(x_queries, x_keys, y_values, sigma) for sigma in sigmas}

# %%
figure, axes = plt.subplots(2, 2, figsize=(11, 7), sharex=True, sharey=True, layout="constrained")
for axis, (sigma, (predictions, _)) in zip(axes.flat, regressions.items(), strict=True):
    error = np.mean((predictions - true_function(x_queries)) ** 2)
    axis.scatter(x_keys, y_values, s=14, color="C7", label="training points (keys, values)")
    axis.plot(x_queries, true_function(x_queries), "--", color="C0", label="2 sin x + x")
    axis.plot(x_queries, predictions, color="C3", label="prediction")
    axis.set_title(f"σ = {sigma:g}: mean squared error {error:.2f}")
axes[0, 0].legend()
_ = figure.supxlabel("x"), figure.supylabel("y")

# %% [markdown]
# And these are the weights themselves: each row is a query, each column a key, both in the order of their positions on the
# $x$ axis, so that nearby keys are near the diagonal. Such a picture is called an attention heat map. You will draw another
# at the end of section 10, for your own transformer and an image. (Each picture has its own colour scale.)

# %%
figure, axes = plt.subplots(1, 4, figsize=(13, 4), layout="constrained")
for axis, (sigma, (_, weights)) in zip(axes, regressions.items(), strict=True):
    shown = axis.imshow(weights, vmin=0, cmap="viridis", aspect="auto")
    axis.set(title=f"σ = {sigma:g}", xlabel="key (training point)")
    figure.colorbar(shown, ax=axis, location="bottom", label="attention weight")
_ = axes[0].set_ylabel("query (validation point)")

# %% [markdown]
# Compare the two sets of pictures. With $\sigma = 0.1$ a query hears only its nearest key, and the prediction repeats the
# noise. With $\sigma = 4$ it hears nearly everyone, and the prediction comes close to the overall mean. Note what takes
# the role of $\sigma$ in transformers: there the scores are $q \cdot k / \sqrt{d}$, and the *length* of queries and keys
# decides how sharp the weights are. Since learned projections make the queries and keys, a transformer learns its own
# "$\sigma$" and its own notion of what is near.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_01_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 1** (2 points). Attention by kernel regression, as above, has nothing to learn but $\sigma$. Name its benefits and
# drawbacks, compared with a trained model such as a neural network. What happens with many training points, with many
# input dimensions, and outside the range of the training data?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_01", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Benefits: no training is needed, new data can be added at any time, and there is a single parameter to choose. The method is
# non-parametric: with more data (and a smaller $\sigma$) it comes arbitrarily close to any smooth function. The prediction can be
# explained: the weights say which training points it comes from. It never leaves the range of the values seen.
#
# Drawbacks: all training data must be kept and compared with each query, so time and memory at prediction grow with $n$
# ($N_q \cdot n$ weights), whereas a network's cost is fixed. The notion of distance is fixed: all directions count the same,
# relevant or not, and in many dimensions all points are about equally far apart, so exponentially many of them are needed.
# $\sigma$ is the same everywhere, although dense regions could afford a small one. Beyond the training data the method cannot
# follow a trend; it sticks to the nearest values, which also biases it at the edges. Learned projections of queries and keys, as
# in a transformer, remove the limit of a fixed distance.
#
# *Marking: 1 point for benefits (e.g. nothing to train, flexible, weights that explain); 1 point for drawbacks (e.g. cost at prediction, fixed distance in many dimensions, no extrapolation).*
# ### END SOLUTION

# %% [markdown]
# ## 3. Scaled dot-product attention
#
# ### The idea: a dictionary with soft look-up
#
# A Python dictionary answers a *query* by comparing it with its *keys* and returning the *value* of
# the key that is equal. Attention makes this differentiable. The query is a vector. It is compared
# with **all** keys, which are vectors too, and the answer is a **mixture** of all values, in which
# a value has more weight the better its key matches the query.
#
# Take one query $q \in \mathbb{R}^{d}$, keys $k_1, \dots, k_{N_k} \in \mathbb{R}^{d}$ and values
# $v_1, \dots, v_{N_k} \in \mathbb{R}^{d_v}$. Three steps lead to the answer:
#
# 1. **Scores**: how well does the query match each key? A dot product is large where two vectors
#    point in the same direction: $s_j = q \cdot k_j / \sqrt{d}$, one number for each key.
# 2. **Weights**: a softmax makes the scores positive and makes them sum to 1: $a_j = \exp(s_j) /
#    \sum_{i} \exp(s_i)$.
# 3. **Mixture**: $o = \sum_{j} a_j v_j \in \mathbb{R}^{d_v}$.
#
# ![A dictionary returns the value of the one key that is equal; attention returns a mixture of all values, weighted by how well each key matches the query.](images/attention_as_retrieval.svg)
#
# ### All queries at once
#
# Write the queries as the rows of a matrix $Q$ of shape $(N_q, d)$, the keys as the rows of $K$,
# $(N_k, d)$, and the values as the rows of $V$, $(N_k, d_v)$. Then the three steps are two matrix
# products with a softmax in between:
#
# $$
# \underbrace{A}_{(N_q,\,N_k)} = \mathrm{softmax}\!\left(\frac{Q K^{\top}}{\sqrt{d}}\right),
# \qquad
# \underbrace{O}_{(N_q,\,d_v)} = A\,V .
# $$
#
# The entry $A_{ij}$ says how much of value $j$ goes to query $i$. The softmax runs over the
# **keys**, so each *row* of $A$ sums to 1. Note which sizes must agree: queries and keys have the
# same number of features $d$, since we take dot products of them; keys and values have the same
# number of rows $N_k$, since they belong together in pairs. Nothing else needs to agree: $N_q$ may
# differ from $N_k$, and $d_v$ from $d$.
#
# If $Q$, $K$ and $V$ are all made from the same sequence, so that each token asks all tokens
# (itself included), this is called **self-attention**. A ViT uses it.
#
# ### Why divide by $\sqrt{d}$?
#
# Let the features of a query and a key be independent, with mean 0 and variance 1. Their dot
# product is a sum of $d$ products with variance 1 each, so it has variance $d$ and is typically as
# large as $\sqrt{d}$. Without the division, the scores in a wide head differ a lot, the softmax
# gives nearly all weight to one key, and its gradient is close to zero: the layer stops learning.
# With the division the scores have variance 1, whatever $d$ is. A plot below the task shows this.

# %% [markdown]
# ### Task: `scaled_dot_product_attention` (8 points)
#
# Write `scaled_dot_product_attention(q, k, v)` in `utilities.py`. It returns the output **and** the
# weights.
#
# | | shape |
# |---|---|
# | `q` | `(..., queries, head_dim)` |
# | `k` | `(..., keys, head_dim)` |
# | `v` | `(..., keys, value_dim)` |
# | output | `(..., queries, value_dim)` |
# | attention weights | `(..., queries, keys)` |
#
# The dots stand for any number of leading axes: `batch` alone, or `batch, heads`. Work on the last
# two axes and leave the others alone.
#
# *Hint.* `tf.matmul` treats all axes but the last two as a batch, and it can transpose one of its
# arguments for you. `tf.transpose` without `perm` reverses *all* axes, which is not what you want.
# Think about the axis that the softmax has to run over, and about the size under the root.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "attention_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
test_scaled_dot_product_attention(seed=1)

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "attention", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `attention` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown]
# The plot below uses your function. A random query meets eight random keys, once in a head with 4
# features and once in one with 1024. Multiplying the query by $\sqrt{d}$ undoes the scaling. In the
# narrow head the scaling hardly matters. In the wide head without scaling, one key takes (nearly)
# everything.

# %%
rng = np.random.default_rng(3)
figure, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True)
for axis, head_dim in zip(axes, (4, 1024), strict=True):
    query, keys = (tf.constant(rng.normal(size=(number, head_dim))) for number in (1, 8))
    for shift, factor, label in ((-0.2, 1.0, "scaled"), (0.2, np.sqrt(head_dim), "not scaled")):
        _, weights = scaled_dot_product_attention(factor * query, keys, keys)
        axis.bar(np.arange(8) + shift, weights[0], width=0.4, label=label)
    axis.set(title=f"head_dim = {head_dim}", xlabel="key", ylim=(0, 1))
axes[0].set_ylabel("attention weight")
axes[0].legend()
figure.tight_layout()

# %% [markdown]
# ## 4. Multi-head attention
#
# One attention gives each query *one* set of weights. But a token may need several things at once:
# in an image, say, the patch to its right, all patches of the same colour, and the patch with the
# horizon. **Multi-head attention** therefore runs $H$ attentions side by side. Each *head* $h$
# looks at the input through its own linear projections, so each can learn a different notion of
# "matching":
#
# $$
# O_h = \mathrm{Attention}(Q W^Q_h,\; K W^K_h,\; V W^V_h), \qquad h = 1, \dots, H .
# $$
#
# ![Each of H heads projects queries, keys and values with matrices of its own and attends; the results are concatenated along the features and projected once more.](images/multi_head_attention.svg)
#
# The results are put next to each other along the feature axis, and a last projection mixes them:
#
# $$
# \mathrm{MultiHead}(Q, K, V) = \big[\,O_1 \,\big|\, O_2 \,\big|\, \cdots \,\big|\, O_H\,\big]\; W^O .
# $$
#
# With inputs of $d_k$ features (queries and keys) and $d_v$ features (values) and heads of width
# $d$, which is called `proj_size`, the shapes are, for one item of the batch:
#
# | symbol | shape | | symbol | shape |
# |---|---|---|---|---|
# | $Q$ | $(N_q, d_k)$ | | $W^Q_h$, $W^K_h$ | $(d_k, d)$ |
# | $K$ | $(N_k, d_k)$ | | $W^V_h$ | $(d_v, d)$ |
# | $V$ | $(N_k, d_v)$ | | $W^O$ | $(H d, d)$ |
# | $O_h$ | $(N_q, d)$ | | $\mathrm{MultiHead}(Q, K, V)$ | $(N_q, d)$ |
#
# There are no biases. Note two things. First, without the projections all heads would compute the
# same result, and self-attention would have nothing to learn: the weights of this layer are exactly
# these four groups of matrices. Second, in this lab **every head is `proj_size` wide**, however
# many heads there are, whereas the paper divides the width among the heads. Keep that in mind for
# question 10.

# %% [markdown]
# ### Task: `MultiHeadAttention` (12 points)
#
# Write the Keras layer `MultiHeadAttention(n_heads, proj_size, dk, dv,
# return_attention_weights=False)`, which is called with `(Q, K, V)`: create the weights, and write
# `call`.
#
# | | shape |
# |---|---|
# | `Q`, `K`, `V` | `(batch, queries, dk)`, `(batch, keys, dk)`, `(batch, keys, dv)` |
# | output | `(batch, queries, proj_size)` |
# | weights, if requested | `(batch, heads, queries, keys)` |
#
# *Hints.*
#
# * All heads can share one matrix product: make a weight that holds the matrices of all heads, and
#   split the result. Your `scaled_dot_product_attention` already works on `(batch, heads, tokens,
#   head_dim)`.
# * A `tf.reshape` never moves a number; it only reads the same row of numbers with other brackets.
#   To merge the heads, the two axes `heads` and `head_dim` must be next to each other *before* the
#   reshape. After attention they are not: move the axes with `tf.transpose` first. If you forget
#   this, the shape is right, nothing complains, and features of different tokens end up in one row.
#   The same goes for the split.
# * Queries and keys may differ in number: take the length of each from the tensor itself.
# * The batch size is unknown while a model is being built. Use `tf.shape(x)` or `-1`, not a fixed
#   number.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "multi_head_attention_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
test_MultiHeadAttention(seed=1)

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "multi_head_attention", "locked": true, "points": 12, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `multi_head_attention` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown]
# Here is what heads do before any training. Six tokens attend to each other with two heads; each
# row shows how one token distributes its attention. The two heads differ only because their
# projections start with different random numbers.

# %%
tokens = tf.random.stateless_normal((1, 6, 16), seed=(0, 2))
_, weights = MultiHeadAttention(2, 16, 16, 16, return_attention_weights=True)(tokens, tokens, tokens)
weights = np.broadcast_to(weights if len(weights.shape) == 4 else weights[:, None], (1, 2, 6, 6))
figure, axes = plt.subplots(1, 2, figsize=(8, 3.5))
for head, axis in enumerate(axes):
    shown = axis.imshow(weights[0, head], vmin=0, vmax=1, cmap="viridis")
    axis.set(title=f"head {head + 1}", xlabel="key (token asked)", ylabel="query (token asking)")
_ = figure.colorbar(shown, ax=axes, label="attention weight")

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_02_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 2** (2 points). In the RNN lab, attention connected a decoder to the states of a
# recurrent encoder. Compare the self-attention of a ViT with it: where do queries, keys and values
# come from in each case, what is attended to, and how does each model know about the order of its
# input?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_02", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# In the RNN lab the query came from the decoder (its current state) and the keys and values from
# the encoder (one hidden state for each input step). It was *cross*-attention between two
# sequences, computed again for each output step, in addition to the recurrence: each encoder state
# already summarised the steps before it, so the recurrence built the order in.
#
# In a ViT queries, keys and values are three learned projections of the *same* tokens, the patches
# and the class token. Every token attends to every other one, for all tokens in parallel, in every
# layer and in several heads. There is no recurrence left: attention is the only place where tokens
# exchange information. It treats them as a set (shuffled tokens give shuffled outputs), so the
# order must be added to the input, here by the position embedding.
#
# *Marking: 1 point for the source of queries, keys and values (two sequences against one and the
# same); 1 point for recurrence against parallel attention with position embeddings.*
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_03_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 3** (2 points). What makes scaled dot-product attention expensive for long sequences?
# State how time and memory grow with the number of tokens $N$ and the width $d$, and compare this
# with the attention of the RNN lab.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_03", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# In self-attention each of $N$ queries is compared with each of $N$ keys. The two products
# $QK^{\top}$ and $AV$ cost on the order of $N^2 d$ operations for each head and layer, and the
# weights take $N^2$ numbers for each head, which must be kept for the backward pass. Twice as many
# tokens (for images: a side longer by a factor of 1.4, or smaller patches) cost four times as much.
# With pixels as tokens, a 224 by 224 image has 50,000 tokens and 2.5 billion weights per head: this
# is why a ViT uses patches.
#
# The RNN's attention compares one decoder state at a time with $N$ encoder states: $N d$ operations
# for each output step, hence $N_{\text{out}} N d$ in all, and that once, not in every layer and
# head. The recurrence itself is linear in $N$ (about $N d^2$) and has a state of constant size, but
# it cannot be computed in parallel over the steps.
#
# *Marking: 1 point for quadratic growth of time and memory in N; 1 point for the comparison with
# the RNN.*
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_04_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 4** (2 points). What are the computational advantages of scaled dot-product attention
# over a recurrent network, on a GPU in particular?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_04", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Attention is a few large matrix products over all tokens, heads and batch items at once, which is
# what a GPU does best. No step waits for another one: the number of sequential operations is
# constant in $N$, while a recurrent network needs $N$ steps one after the other, each too small to
# fill the GPU. Dot products need no extra parameters or non-linearity for the comparison
# (unlike additive attention, which runs a small network for each pair).
#
# In addition, any two tokens are one step apart, so that gradients between distant tokens do not
# pass through $N$ recurrent steps, where they vanish or explode. As long as $N$ is smaller than $d$
# (a ViT has few patches), $N^2 d$ is also cheaper than the $N d^2$ of a recurrent layer.
#
# *Marking: 1 point for parallel matrix products against sequential steps; 1 point for a second
# advantage, e.g. constant path length, N smaller than d, no extra parameters for the scores.*
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_05_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 5** (2 points). The heads of multi-head attention are often compared with the kernels of
# a convolutional layer. In what respect does the comparison hold, and where does it fail?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_05", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# It holds in that both are a bank of detectors with separate weights that work in parallel on the
# same input; each can specialise in another kind of pattern, their results are put side by side,
# and the next layer (or $W^O$) mixes them. In both cases all positions share the weights. Heads can
# even *learn* to attend to fixed offsets, and enough of them can then express a convolution.
#
# It fails in where they look and with which weights. A kernel sees a small fixed neighbourhood, and
# its weights for each offset are constant after training. A head sees all tokens, and its mixing
# weights are computed from the content, for each input and each query. They are also positive and
# sum to 1, so a single head averages, whereas a kernel can take differences (signs come in only
# through $W^V$ and $W^O$). And a kernel knows relative positions by construction, a head only
# through position embeddings.
#
# *Marking: 1 point for parallel detectors of different patterns; 1 point for global and
# content-dependent against local and fixed weights.*
# ### END SOLUTION

# %% [markdown]
# ## 5. The transformer encoder layer
#
# Attention moves information *between* tokens, but it acts linearly on the values: the output is a
# weighted mean of projected values. The encoder layer adds what is missing: a small network that
# works on each token by itself, and two devices that make deep stacks trainable. Let $X$ be the
# tokens, of shape $(N, D)$. Then
#
# $$
# \begin{aligned}
# Y &= \mathrm{LayerNorm}\big(X + \mathrm{Dropout}(\mathrm{MultiHead}(X, X, X))\big) & (N, D) \\
# Z &= \mathrm{LayerNorm}\big(Y + \mathrm{mlp}(Y)\big) & (N, D)
# \end{aligned}
# $$
#
# * The **residual connection** adds the input of a sublayer to its output. The sublayer only needs
#   to learn a correction.
# * **Layer normalisation** works on each token separately, over its $D$ features $x_1, \dots, x_D$:
#   $\;\hat{x}_i = \gamma_i\, (x_i - \mu) / \sqrt{\sigma^2 + \varepsilon} + \beta_i$, with $\mu$ and
#   $\sigma^2$ the mean and variance of these $D$ numbers and $\gamma, \beta \in \mathbb{R}^{D}$
#   learned.
# * The **mlp** takes $D$ features to a wider layer and back to $D$. All tokens share its weights.
#   Its dropout is inside it, after each Dense layer.
#
# ![A post-norm encoder layer: multi-head attention, dropout, residual addition and layer normalisation, then mlp, residual addition and layer normalisation.](images/encoder_layer.svg)
#
# This order, with the normalisation *after* the addition, is called **post-norm**; Vaswani et al.
# use it. The ViT paper normalises *before* each sublayer instead (pre-norm). We stay with post-norm.

# %% [markdown]
# ### Task: `mlp` (4 points)
#
# Write `mlp(x, hidden_units, dropout_rate)`: for each width in `hidden_units` a Dense layer
# followed by a Dropout layer. Every Dense layer **but the last** has a non-linearity, GELU or ReLU.
#
# | | shape |
# |---|---|
# | `x` | `(..., features)` |
# | result | `(..., hidden_units[-1])` |
#
# *Hint.* This is a function, not a layer: in a loop, create each layer and call it at once, `x =
# layer(...)(x)`. Why is the last layer different? What would happen in a residual connection if the
# sublayer could only add positive numbers?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "mlp_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
test_mlp(seed=1)

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "mlp", "locked": true, "points": 4, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `mlp` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown]
# ### Task: `transformerBlock` (10 points)
#
# Write `transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1)`
# following the two equations above. Input and output have the shape `(batch, tokens, model_dim)`;
# `projection_dim` and the last of `transformer_units` equal `model_dim`, or there would be nothing
# to add the residuals to.
#
# *Hints.*
#
# * Use your `MultiHeadAttention` with `x` in all three roles, your `mlp`, and Keras'
#   `LayerNormalization` and `Dropout`.
# * Follow the two equations term by term. What does the second residual add, $X$ or $Y$?
# * `LayerNormalization` works on the last axis unless you tell it otherwise.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "transformer_block_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
test_TransformerBlock(seed=1, dropout_rate=0.1)
test_TransformerBlock(seed=2, dropout_rate=0.0)

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "transformer_block", "locked": true, "points": 10, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `transformer_block` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_06_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 6** (2 points). What are the residual connections good for? Think of a stack of twelve
# layers, of the forward and of the backward pass.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_06", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Backward: the derivative of $x + f(x)$ is $1 + f'(x)$. The 1 gives the gradient a direct way past
# every sublayer, so that it reaches the first of twelve layers even if some sublayers would shrink
# it; without it the gradient is a product of many factors and tends to vanish (or explode).
#
# Forward: a layer starts out close to the identity and learns a *correction* of its input, which is
# easier than learning the whole mapping; adding a layer does not destroy what came before. In
# particular the content and position of each token survive: attention alone returns averages, and
# repeated averaging would make all tokens alike.
#
# *Marking: 1 point for the flow of gradients in deep networks; 1 point for learning corrections or
# keeping the tokens' information.*
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_07_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 7** (2 points). What does layer normalisation do, over which axis, and why is it
# preferred to batch normalisation here?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_07", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# It takes the features of one token in one example, subtracts their mean and divides by their
# standard deviation, and then applies a learned scale and shift for each feature. So the inputs of
# each sublayer keep a comparable size: sums from the residuals do not grow from layer to layer, the
# softmax of the attention does not saturate, and training is more stable and allows larger learning
# rates.
#
# Batch normalisation computes its statistics over the examples of a batch (and over positions).
# They are noisy for small batches, differ between training and inference, and make examples depend
# on each other; with sequences of different length and padding they are ill-defined. Layer
# normalisation needs nothing but the token itself, and does the same in training and in inference,
# for any batch size and any number of tokens.
#
# *Marking: 1 point for per-token statistics over the features and their stabilising effect; 1 point
# for independence of the batch.*
# ### END SOLUTION

# %% [markdown]
# ## 6. The Vision Transformer: data
#
# A transformer takes a sequence of vectors. To give it an image, cut the image into patches, write
# each patch as a vector, and treat the patches as words of a sentence. The rest is what you have
# just built:
#
# image $\rightarrow$ patches (section 7) $\rightarrow$ tokens (section 8) $\rightarrow$ encoder
# layers $\rightarrow$ class token $\rightarrow$ logits (section 9).
#
# ![The Vision Transformer from image to logits: the image is cut into patches, which become tokens with a class token and positions, pass through the encoder layers, and the class token goes through the head.](images/vit.svg)
#
# First the data. The loader returns images of 32 by 32 pixels with three channels, as `uint8`, and
# integer labels. In the full profile these are the first 10,000 training and 2,000 test images of
# CIFAR-10, which leaves 7,500 for training after the split; in the quick one, all 1797 digits in the
# same proportion.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "load_data", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["grading"]
(X_train, Y_train), (X_test, Y_test), class_names = load_images(dataset, n_train, n_test)
num_classes = len(class_names)

# %%
print(f"training: images {X_train.shape} {X_train.dtype}, labels {Y_train.shape} {Y_train.dtype}")
print(f"test:     images {X_test.shape} {X_test.dtype}, labels {Y_test.shape} {Y_test.dtype}")
for label, name in enumerate(class_names):
    print(f"{name:>12}: {np.sum(Y_train == label):5d} training, {np.sum(Y_test == label):5d} test images")
figure = plot_training_examples(X_train, Y_train, class_names)

# %% [markdown]
# ### Task: training and validation data (2 points)
#
# Validation images decide which epoch's weights are kept. They come from the training data, are not
# trained on, and have nothing to do with the test images, which are for the final measurement only.
# Split `X_train, Y_train` at random into `Xtrain, Ytrain` (75 %) and `Xval, Yval` (25 %). Images and
# labels must stay together.
#
# *Hint.* `train_test_split` from scikit-learn, imported above, does this in one call. Mind the order
# of its results, and set its `random_state`.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "data_split_answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
# Make Xtrain, Xval, Ytrain and Yval from X_train and Y_train; 25 % of the images are for validation.
### BEGIN SOLUTION
Xtrain, Xval, Ytrain, Yval = train_test_split(X_train, Y_train, test_size=0.25, random_state=0)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "data_split_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
for name, images, labels in (("training", Xtrain, Ytrain), ("validation", Xval, Yval)):
    print(f"{name}: {len(images)} images of shape {images.shape[1:]}, {len(labels)} labels")
    assert len(images) == len(labels), f"{name}: expected one label for each image"
assert len(Xtrain) + len(Xval) == len(X_train), "every image belongs to one of the two parts"
assert abs(len(Xval) - len(X_train) / 4) <= 1, "a quarter of the images is for validation"

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "data_split", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `data_split` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown]
# ### Task: preprocessing (2 points)
#
# Networks train best on small numbers around 0. Turn the pixels of the three sets from `uint8` in
# $[0, 255]$ into `float32` in $[-1, 1]$, where 0 becomes $-1$ and 255 becomes $1$: make `Xtrain`,
# `Xval` and `Xtest` (from `X_test`). The labels stay as they are, integers and *not* one-hot; call
# the test labels `Ytest`.
#
# *Hint.* Convert to `float32` before you calculate: `uint8` arithmetic overflows. If you run the
# cell twice, the pixels are scaled twice; to run it again, run the split first.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "preprocessing_answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
# Make float32 images in [-1, 1], Xtrain, Xval and Xtest, and give the test labels the name Ytest.
### BEGIN SOLUTION
Xtrain, Xval, Xtest = (images.astype("float32") / 127.5 - 1 for images in (Xtrain, Xval, X_test))
Ytest = Y_test
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "preprocessing_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
sets = {"training": (Xtrain, Ytrain), "validation": (Xval, Yval), "test": (Xtest, Ytest)}
for name, (images, labels) in sets.items():
    print(f"{name}: {images.dtype} {images.shape} from {images.min():.2f} to {images.max():.2f}")
    assert images.dtype == np.float32, f"{name}: expected float32 images, got {images.dtype}"
    assert -1 <= images.min() < -0.5 and 0.5 < images.max() <= 1, f"{name}: expected pixels in [-1, 1]"
    assert labels.ndim == 1 and labels.dtype.kind in "iu", f"{name}: expected one integer for each image"

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "preprocessing", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `preprocessing` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown]
# ## 7. Patches
#
# An image of $S$ by $S$ pixels with $C$ channels, cut into squares of side $p$, has $N = (S / p)^2$
# patches of $p^2 C$ numbers each. For CIFAR-10 and $p = 8$: $S = 32$, $C = 3$, hence $N = 16$
# patches of $192$ numbers. No pixel is lost or used twice; the numbers are only rearranged:
#
# * the patches follow each other row by row, from the top left to the bottom right;
# * inside a patch the numbers are ordered by row, then column, then channel, so the three channels
#   of a pixel stay together.
#
# ### Task: `PatchExtractor` (8 points)
#
# Write `call` of the layer `PatchExtractor(patch_size=16)`. The check that the patch size fits is
# given.
#
# | | shape |
# |---|---|
# | images | `(batch, side, side, channels)` |
# | result | `(batch, patches, patch_dim)` |
#
# *Hints.* There are two good ways.
#
# * `tf.image.extract_patches` with `VALID` padding. Read in its documentation what `sizes`,
#   `strides` and `rates` mean: `rates` spreads the pixels of *one* patch over the image, and with
#   `SAME` padding the wrong result even has the right shape. The function returns a grid of
#   patches, which you still have to turn into a sequence.
# * `tf.reshape` and `tf.transpose` alone: split each side of the image into two axes (which patch,
#   which pixel in it), bring the axes into the order described above, and merge them. As in section
#   4, first move the axes, then merge.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "patch_extractor_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
test_PatchExtractor()

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "patch_extractor", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `patch_extractor` run here when the work is graded:
# other shapes and other values, but the same contract.

# %%
example = X_train[:1]
patches = PatchExtractor(patch_size=8)(example)
print(f"{example.shape} -> {patches.shape}")
figure = plot_original_and_patched_version(example, patches, patch_size=8)

# %% [markdown]
# ## 8. From patches to tokens
#
# The transformer works on tokens of $D$ features. Three things turn patches into tokens. Let $x_1,
# \dots, x_N$ be the patches of an image, each a row of $p^2 C$ numbers. Then the tokens are the
# rows of
#
# $$
# Z_0 = \big[\, c \,;\; x_1 E + b \,;\; \cdots \,;\; x_N E + b \,\big] + P ,
# \qquad Z_0 \text{ of shape } (N + 1, D).
# $$
#
# * **Projection.** $E$, of shape $(p^2 C, D)$, and the bias $b \in \mathbb{R}^{D}$ are learned and
#   shared by all patches.
# * **Class token.** $c \in \mathbb{R}^{D}$ is a learned vector that comes before the patches and is
#   the same for every image. At first it knows nothing about the image. In each layer it attends to
#   the patches and collects what is useful for the decision; after the last layer only this token
#   goes on to the classifier.
# * **Positions.** Attention does not know the position of a token: shuffle the tokens, and the
#   outputs are shuffled in the same way. Therefore each position in the sequence has its own learned
#   vector, a row of $P$, of shape $(N + 1, D)$, which is added to the token at this position. This
#   includes the class token.
#
# ### Task: `PatchEncoder` (8 points)
#
# Write the layer `PatchEncoder(num_patches=4, projection_dim=768)`: create its parts, and write
# `call`.
#
# | | shape |
# |---|---|
# | patches | `(batch, patches, patch_dim)` |
# | result | `(batch, patches + 1, projection_dim)` |
#
# *Hints.*
#
# * A Dense layer projects; a Keras `Embedding` is the table $P$: call it with the numbers of the
#   positions.
# * The class token is one trainable weight, made once. In `call` it must be repeated for every
#   image of a batch whose size is not known yet: `tf.shape(patches)[0]`.
# * Join along the right axis, *then* add the positions. How many rows does the table need?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "patch_encoder_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
test_PatchEncoder(seed=1)
print(PatchEncoder(num_patches=16, projection_dim=192)(tf.cast(patches, tf.float32)).shape)

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "patch_encoder", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `patch_encoder` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_08_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 8** (2 points). A linear projection of raw pixels is only one way to make tokens from
# an image. Describe at least two others, and what you expect from each.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_08", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# * **Convolutional stem / hybrid**: run a few convolutional layers (or a ResNet) first and use the
#   positions of the feature map as tokens. This brings in locality and low-level features, trains
#   more stably and needs less data.
# * **Overlapping patches**: a stride smaller than the patch size (a convolution with stride). Edges
#   between patches are no longer blind spots; more tokens, so more expensive.
# * **Patches at several scales**, or merging neighbours from layer to layer as in the Swin
#   transformer: fine detail and overview at once.
# * **A learned code book**: quantise patches with an autoencoder (VQ-VAE, as for BEiT's targets)
#   and use one embedding for each code, like words.
# * **Other positions**: fixed sines, separate embeddings for row and column, or relative positions
#   in the attention scores; they carry over to other image sizes.
#
# *Marking: 1 point for a sensible way with its expected effect; 1 point for a second one.*
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_09_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 9** (2 points). A ViT makes hardly any assumptions about images, a convolutional network
# makes strong ones. Which? What is the price of the ViT's generality, and when does it pay off?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_09", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# A convolution has two assumptions built in: *locality* (what belongs together is close together)
# and *translation equivariance* (a pattern means the same everywhere; weights are shared), and a
# stack of them with pooling adds a hierarchy of scales. A ViT knows the neighbourhood of pixels
# only within a patch. It must learn from examples which patches are neighbours and that an object
# may move: the position embedding starts without any order.
#
# The price is data and computation: on small data sets it overfits, or learns less, than a
# convolutional network of the same cost, and it needs augmentation, regularisation or pretraining.
# Its cost also grows with the square of the number of patches. It pays off where there is a lot of
# data (the paper: from about 14 to 300 million images on, ViT overtakes ResNets), since then it is
# not limited by assumptions that do not quite hold, e.g. for relations between distant parts, and
# the same architecture serves text, sound and images.
#
# *Marking: 1 point for the inductive biases that are missing; 1 point for the need for data, and
# when it pays off.*
# ### END SOLUTION

# %% [markdown]
# ## 9. The whole model
#
# Now put everything together with Keras' functional API:
#
# $$
# \text{image} \rightarrow \text{patches} \rightarrow Z_0 \rightarrow Z_1 \rightarrow \cdots
# \rightarrow Z_L \rightarrow \text{class token of } Z_L \rightarrow \text{mlp head}
# \rightarrow \text{logits},
# $$
#
# where $Z_l = \mathrm{transformerBlock}(Z_{l-1})$, of shape $(N + 1, D)$, and $L$ is the number of
# layers. The logits are one number for each class, *without* softmax: the loss function applies it,
# in a way that is numerically safer.
#
# ### Task: `create_vit_classifier` and the large model (8 points)
#
# 1. Write `create_vit_classifier` in `utilities.py`. In each encoder layer, `transformer_units` are
#    `[2 * msa_proj_dim, msa_proj_dim]`.
#
#    *Hints.* The number of patches follows from the output of `PatchExtractor`. Before the head,
#    take only the class token out of $Z_L$, at the position where your `PatchEncoder` put it. The
#    last Dense layer comes after the mlp head and has no activation.
# 2. Below, make the dictionary `model_params` for the large model, and the model `vit` from it:
#
#    | setting | value |
#    |---|---|
#    | images | 32 by 32 pixels, 3 channels, 10 classes |
#    | patches | 16 by 16 pixels |
#    | width of a token, and of each head | 768 |
#    | heads, and encoder layers | 12 each |
#    | dropout rates | 0.1 in the encoder layers, 0.5 in the head |
#    | widths of the mlp head | one layer of 3074 |

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "vit_model_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
test_create_vit_classifier()

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "vit_model_answer", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["weightless"]
# Make the dictionary model_params, with the names of create_vit_classifier's arguments, and the model vit.
### BEGIN SOLUTION
model_params = {
    "input_shape": (32, 32, 3),
    "num_classes": 10,
    "patch_size": 16,
    "embedding_proj_dim": 768,
    "num_heads": 12,
    "msa_proj_dim": 768,
    "transformer_layers": 12,
    "msa_dropout_rate": 0.1,
    "mlp_classification_head_units": [3074],
    "mlp_classification_head_dropout_rate": 0.5,
}
vit = create_vit_classifier(**model_params)
### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "vit_model", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `vit_model` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown]
# How many parameters do you expect? Work it out on paper before you look at the summary: $4 H D^2$
# for each attention layer, $2 D$ for each layer normalisation, and (inputs + 1) times outputs for
# each Dense layer.

# %%
vit.summary(line_length=110)

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_10_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 10** (2 points). The paper's ViT-Base has 86 million parameters, with the same number
# of layers and heads and the same width of 768. How many has yours? Explain the difference with
# numbers: which part of the model is responsible, and why?

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_10", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Ours has about 371 million, more than four times as many. The attention layers are responsible.
# Our heads are all $D = 768$ wide, so one attention layer has $4 H D^2 = 4 \cdot 12 \cdot 768^2
# \approx 28.3$ million parameters. In the paper the heads share the width: each has $D / H = 64$
# features, and a layer has $4 D^2 \approx 2.4$ million (plus biases), a twelfth of ours. Over 12
# layers that is 340 million against 28 million.
#
# Smaller differences go the other way: our mlp has a hidden width of $2 D$ (2.4 million a layer),
# the paper's $4 D$ (4.7 million), over 12 layers 28 against 57 million; we have 5 positions, the
# paper 197. Our head adds 2.4 million. In all: paper $28 + 57 + 1 \approx 86$, ours $340 + 28 + 3
# \approx 371$ million. Wide heads make the model larger, not necessarily better: the scores of a
# head need few features.
#
# *Marking: 1 point for the count and the attention layers as its cause; 1 point for the width of
# the heads (D against D / H), with numbers.*
# ### END SOLUTION

# %% [markdown]
# ## 10. Training
#
# ### Task: `run_experiment` (6 points)
#
# Complete the function below. It compiles a model, trains it, keeps the weights of the best epoch
# and measures the accuracy on the test images. The parts in order:
#
# 1. **Compile**: the Adam optimiser with the given learning rate, sparse categorical cross-entropy
#    for integer labels, and a metric named `"accuracy"`. Our model returns *logits*, and the loss
#    must be told so; otherwise it treats them as probabilities, and training goes wrong without any
#    message.
# 2. **Checkpoint**: a `ModelCheckpoint` that saves the weights (only the weights) whenever the
#    *validation* accuracy is the best so far, in the file `best_weights`.
# 3. **Fit**, with the validation data and with the checkpoint as a callback. Keep the history.
# 4. **Reload** the best weights: after the last epoch the model holds the last weights, which may
#    be worse.
# 5. **Test**, if `run_testing` is true: print the accuracy on the test images. They are used only
#    here.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "training_answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def run_experiment(
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
    """Train a classifier, put its best weights back, and test it.

    Args:
        model: A `keras.Model` from images to logits.
        training_data: Pair of images, float32 (n, side, side, channels), and integer labels, (n,).
        validation_data: Pair like training_data; decides which epoch is the best.
        test_data: Pair like training_data, or None if run_testing is False.
        epochs: Number of passes through the training data.
        batch_size: Number of images in a training step.
        learning_rate: Step size of Adam.
        ckpt_path: Folder for the best weights; it is created if needed.
        run_testing: Whether to print the accuracy on test_data at the end.

    Returns:
        The `keras.callbacks.History` of the training.
    """
    images, labels = training_data
    Path(ckpt_path).mkdir(parents=True, exist_ok=True)
    best_weights = str(Path(ckpt_path) / "best.weights.h5")

    # 1. Compile the model with optimiser, loss and metric.
    ### BEGIN SOLUTION
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate=learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    ### END SOLUTION

    # 2. and 3. Make the checkpoint of the best validation accuracy, train, and keep the history.
    ### BEGIN SOLUTION
    checkpoint = keras.callbacks.ModelCheckpoint(
        best_weights, monitor="val_accuracy", mode="max", save_best_only=True, save_weights_only=True
    )
    history = model.fit(
        images,
        labels,
        batch_size=batch_size,
        epochs=epochs,
        validation_data=validation_data,
        callbacks=[checkpoint],
        verbose=2,
    )
    ### END SOLUTION

    # 4. Put the best weights back into the model.
    ### BEGIN SOLUTION
    model.load_weights(best_weights)
    ### END SOLUTION

    # 5. If asked for, measure the accuracy on the test data and print it.
    ### BEGIN SOLUTION
    if run_testing:
        test_images, test_labels = test_data
        _, accuracy = model.evaluate(test_images, test_labels, batch_size=batch_size, verbose=0)
        print(f"Test accuracy: {accuracy:.1%}")
    ### END SOLUTION
    return history

# %% [markdown]
# In the full profile the next cell trains the large model, in the quick profile a small one. The
# last lines check that the best weights are back in the model: its validation accuracy must be the
# best in the history.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "training_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
model = vit if profile == "full" else create_vit_classifier(**small_model_params)
history = run_experiment(
    model,
    (Xtrain, Ytrain),
    (Xval, Yval),
    (Xtest, Ytest),
    epochs=epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    ckpt_path="checkpoints",
)
_, validation_accuracy = model.evaluate(Xval, Yval, batch_size=batch_size, verbose=0)
best_accuracy = max(history.history["val_accuracy"])
assert abs(validation_accuracy - best_accuracy) < 1.5 / len(Xval), "the best weights are not in the model"

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "training", "locked": true, "points": 6, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `training` run here when the work is graded:
# other shapes and other values, but the same contract.

# %%
figure = plot_classifier_training_history(history)

# %% [markdown]
# ### A look inside
#
# What has the model learned to look at? The class token asks all patches in every layer. Its row of the attention weights,
# without the weight it gives to itself, has one number for each patch and can be laid over the image. The cell takes these
# weights from *your* layers, with `return_attention_weights=True`, and shows their mean over the heads. If your class token comes
# last, write `class_token=-1` in both cells.
#
# Bright patches received much attention. In the first layers the map often hardly depends on the image, since the tokens still
# hold little but their own patch; in a good model, later maps follow the strokes of a digit or the outline of an object.
# Interpret them with care: attention weights say which *values* were mixed, not which pixels the decision
# depends on.

# %%
inspected = model
figure = plot_class_token_attention(inspected, Xval[:3], class_token=0)

# %% [markdown]
# And the position embeddings? Each patch has its own vector, which was random before training. Nobody told the model which
# patches are neighbours. In the next figure, the map at row $i$ and column $j$ shows the cosine similarity between the position
# embedding of patch $(i, j)$ and those of all patches, so it is 1 (dark red) at the patch's own position. After training on enough
# images, patches that are close, or in the same row or column, have similar embeddings: the model has found out that images have two
# dimensions. With the little data of this lab you see the beginnings of this at best; figure 7 in Dosovitskiy et al. shows the result
# for 300 million images. (The large model has only 4 patches: use the small one here if you trained the large one.)

# %%
figure = plot_position_similarity(inspected, class_token=0)

# %% [markdown]
# For the following questions it is best to have trained at least one model on CIFAR-10. If you have
# no GPU, use a small model, fewer images and fewer epochs, and say so in your answer.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_11_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 11** (2 points). Which accuracy does your ViT reach on CIFAR-10, and how does it
# compare with the CNN of the CNN lab? Explain the difference.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_11", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# With 7,500 training images the ViT typically ends between 30 % and 45 % on the test images
# (chance: 10 %), and the large model is not better than a small one; a simple CNN passes 60 %. (Use
# the numbers of your own run.)
#
# The CNN has locality and translation equivariance built in and needs few parameters. The ViT must
# learn them, from far too few images for its number of parameters: the curves show it overfitting,
# with the training accuracy rising while the validation accuracy stays and the validation loss
# rises. On top of this, with 16 by 16 patches an image is only 4 tokens, so there is little for
# attention to relate; post-norm layers without a warm-up of the learning rate are hard to train;
# and there is no pretraining, on which the results of the paper rest.
#
# *Marking: 1 point for measured accuracies, put side by side; 1 point for an explanation by missing
# inductive bias and little data.*
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_12_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 12** (2 points). Dropout regularises the model. Which kind of regularisation, common for
# images and acting on the *data*, is missing here? Name examples that suit CIFAR-10 and one that
# does not suit digits, and say why a ViT needs it more than a CNN.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_12", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# Data augmentation is missing: random changes of the training images that leave the label as it is,
# so that the model seldom sees the same image twice. For CIFAR-10: horizontal flips, small shifts
# or random crops after padding, small rotations and zooms, changes of brightness and colour,
# cutout; also mixtures of two images and their labels (mixup, CutMix). It is applied to the
# training images only, never to validation or test images. Flips do not suit digits: a mirrored
# digit is not a digit, or (upside down, 6 and 9) another one.
#
# A ViT does not know that a shifted or mirrored object is the same object; a CNN knows it in part,
# through shared kernels. Augmentation teaches the ViT these invariances through examples, and
# enlarges a data set that is small for its number of parameters.
#
# *Marking: 1 point for data augmentation with suitable examples; 1 point for the reason why a ViT
# needs it.*
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_13_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 13** (2 points). Our classifier discards all outputs of the last encoder layer but the
# class token. How could you use them to *segment* an image, that is, to assign a class to every
# pixel? Give shapes.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_13", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# After the last layer there is one token for each patch, $(N, D)$ without the class token, and each
# knows about its patch and, through attention, about the rest of the image. Put them back into
# their grid, $(S/p, S/p, D)$, in the order in which the patches were cut. A Dense layer (or 1 by 1
# convolution) shared by all of them gives class scores, $(S/p, S/p, \text{classes})$. Enlarge them
# to $(S, S, \text{classes})$ by bilinear interpolation or transposed convolutions, or let each
# token predict all its $p^2$ pixels at once, $p^2 \cdot \text{classes}$ numbers. The loss is the
# cross-entropy, averaged over the pixels.
#
# Since one token stands for $p$ by $p$ pixels, small patches or a decoder that also uses outputs of
# earlier layers (or of convolutions) are needed for sharp edges, at a higher cost, as the number of
# tokens grows.
#
# *Marking: 1 point for patch tokens put back into a grid with a classifier for each; 1 point for
# the way to full resolution, with shapes.*
# ### END SOLUTION

# %% [markdown]
# ## 11. What does it cost? The carbon footprint
#
# Training takes energy, and most energy still costs carbon dioxide. The tracker of the package
# [carbontracker](https://github.com/lfwa/carbontracker) (Anthony, Kanding and Selvan, 2020) watches the power of GPU and
# processor while a model is trained:
#
# $$
# E = \mathrm{PUE} \cdot \sum_{\text{devices}} \bar{P}\, t , \qquad m = E \cdot I .
# $$
#
# | symbol | meaning | unit |
# |---|---|---|
# | $\bar{P}$ | mean power of a device during training | W |
# | $t$ | time of the training | h |
# | PUE | power usage effectiveness: what a data centre uses in all for each unit that its computers use (world mean 1.58) | – |
# | $E$ | energy | kWh |
# | $I$ | carbon intensity: emissions for each unit of electricity, which depends on country and hour | g CO₂eq / kWh |
# | $m$ | emissions, with all greenhouse gases counted as the amount of CO₂ that has the same effect (CO₂eq) | g |
#
# **What is measured, and what is estimated.** Graphics cards have a power meter. Many processors have one too, but on most
# machines only the administrator may read it. Without a meter, `make_carbon_tracker` *assumes* a constant power for the
# processor (45 W), which the tracker multiplies by the time: then the energies of two models differ only as their times
# do. Likewise, without a network the tracker cannot ask for today's carbon intensity and uses a world average. The line
# below the table says whether the power was measured or estimated.
#
# ### Task: `measure_footprint` (2 points)
#
# Compare the small ViT with a convolutional network, `build_cnn_baseline`, which is given and much like the one of the CNN lab.
# Both see the same data, in batches of the same size, for the same number of epochs.
#
# Complete the function below. It trains a model with your `run_experiment` while a tracker watches.
#
# *Hint.* The tracker has three methods without arguments. `epoch_start()` begins a stretch of work, `epoch_end()` ends it and
# computes energy and emissions, and `stop()` closes the log. Here the whole training is *one* such stretch. Nothing before
# `epoch_start()` or after `epoch_end()` is measured.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "carbon_answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def measure_footprint(model, log_dir, training_data, validation_data, test_data, **settings):
    """Train a model with run_experiment while a carbon tracker watches.

    Args:
        model: A `keras.Model` from images to logits.
        log_dir: Folder for the tracker's logs and for the model's best weights.
        training_data: See run_experiment, as for the next two.
        validation_data: Decides which epoch is the best.
        test_data: For the test at the end.
        **settings: Passed on to run_experiment: epochs, batch_size, learning_rate, run_testing.

    Returns:
        The Keras history of the training.
    """
    tracker = make_carbon_tracker(log_dir)

    # Start the tracker, train with run_experiment (these settings, ckpt_path=log_dir), end and stop it.
    ### BEGIN SOLUTION
    tracker.epoch_start()
    history = run_experiment(model, training_data, validation_data, test_data, ckpt_path=log_dir, **settings)
    tracker.epoch_end()
    tracker.stop()
    return history
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "carbon_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
contestants = {
    "ViT": create_vit_classifier(**small_model_params),
    "CNN": build_cnn_baseline(small_model_params["input_shape"], num_classes),
}
footprints = {}
for name, contestant in contestants.items():
    measure_footprint(
        contestant,
        f"carbon/{name.lower()}",
        (Xtrain, Ytrain),
        (Xval, Yval),
        (Xtest, Ytest),
        epochs=carbon_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        run_testing=False,
    )
    _, accuracy = contestant.evaluate(Xtest, Ytest, batch_size=batch_size, verbose=0)
    footprints[name] = {
        **read_footprint(f"carbon/{name.lower()}"),  # from the tracker's log
        "accuracy": accuracy,
        "parameters": contestant.count_params(),
    }
    assert footprints[name]["energy_kwh"] > 0, f"{name}: expected an energy above 0 kWh"

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "carbon", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `carbon` run here when the work is graded:
# other shapes and other values, but the same contract.

# %%
display(Markdown(footprint_table(footprints)))
figure = plot_footprints(footprints)

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_14_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 14** (2 points). Compare the footprint of your ViT with that of the CNN: which takes more energy, by what factor, and
# what does it gain by it? Explain the difference. Say which of your numbers were measured and which were estimated.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_14", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (The numbers must be those of the student's own run.) With the small model on CIFAR-10 (512 wide, 30 epochs, 7,500 images), one
# run on a GPU gave the ViT about 0.063 kWh, 2.6 g CO₂eq and 39 % accuracy, and the CNN 2.3 g and more than 60 %: about the same
# energy, much less accuracy. For each percent of accuracy the ViT is clearly the more expensive one.
#
# Energy is mean power times time, so look at operations and at how well they use the hardware. The ViT has far more parameters (in our
# version every head is as wide as a token), and each is used once for each token, in the attention's projections and in the mlp; on top
# of that come the $N^2$ attention weights. The CNN shares few weights over all positions. On a GPU the ViT's large matrix products
# run efficiently, so its time grows less than its operations. On a processor, time follows the operations. What the ViT gets for
# it is not accuracy, with so little data: its energy would pay off only with pretraining on a large data set, whose energy would then
# have to be counted, too.
#
# Accuracy and time are measured. Energy is measured for a GPU, and for a processor with a readable meter; otherwise it is an assumed
# power times the time. PUE and (offline) the carbon intensity are averages, so the grams are an estimate in any case.
#
# *Marking: 1 point for own numbers, compared, with what was measured and what estimated; 1 point for an explanation by operations or parameters (or hardware use), against what is gained.*
# ### END SOLUTION

# %% [markdown]
# ## 12. A pretrained Vision Transformer
#
# Training from scratch on 7,500 images is not what the ViT was made for. The authors of the paper trained theirs on ImageNet-21k (14
# million images) and then fine-tuned it on ImageNet-1k (1.3 million images, 1000 classes). The package
# [transformers](https://huggingface.co/docs/transformers) loads such a model with one call. You know its architecture,
# ViT-Base: 12 layers, 12 heads of width 64, 768 features, patches of 16 by 16 pixels, hence 196 patches for an image of 224 by 224
# pixels, and the class token. Its layers are pre-norm.
#
# The first time, 346 MB are downloaded. Without a network (and if the model is not in this machine's cache), the cell says what
# to download and goes on with a tiny model that was never trained: everything works in the same way, but its labels mean nothing.
#
# The **image processor** that comes with a model does what was done to its training images: it resizes them and brings
# the pixels into the right range. Never give a model images that were prepared in another way: it still gives an answer,
# but the wrong one.

# %%
processor, pretrained = load_pretrained_vit()
photo = load_photo("china")  # comes with scikit-learn, Creative Commons Attribution 2.0
config = pretrained.config
print(f"photograph: {photo.shape}")
print(f"model: {config.image_size} by {config.image_size} pixels, {len(config.id2label)} classes")
print(f"       {config.num_hidden_layers} layers, {pretrained.count_params():,d} parameters")

# %% [markdown]
# ### Task: `classify_image` (2 points)
#
# Complete the function: from a photograph to the most probable labels.
#
# | | shape |
# |---|---|
# | image | `(height, width, 3)`, `uint8` in $[0, 255]$ |
# | after the processor, `pixel_values` | `(1, 3, size, size)`: channels first |
# | logits | `(1, classes)` |
# | result | a list of `n_labels` pairs (label, probability), the most probable first |
#
# *Hints.* Call the processor with `images=image, return_tensors="tf"`; it returns a dictionary, which you pass to the model as keyword
# arguments. The model's output has a field `logits`. `model.config.id2label` maps the number of a class to its name.

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "pretrained_answer", "locked": false, "schema_version": 3, "solution": true, "task": false}
def classify_image(image, processor, model, n_labels=5):
    """Return the most probable labels of an image.

    Args:
        image: uint8 (height, width, 3) in [0, 255], of any size.
        processor: The image processor that belongs to the model.
        model: A `TFViTForImageClassification`.
        n_labels: Number of labels to return.

    Returns:
        A list of n_labels pairs (label, probability), the most probable first.
    """
    ### BEGIN SOLUTION
    inputs = processor(images=image, return_tensors="tf")
    logits = model(**inputs).logits[0]  # (classes,)
    probabilities = tf.nn.softmax(logits).numpy()
    best = np.argsort(-probabilities)[:n_labels]
    return [(model.config.id2label[int(number)], float(probabilities[number])) for number in best]
    ### END SOLUTION

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "pretrained_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
predictions = classify_image(photo, processor, pretrained)
for label, probability in predictions:
    print(f"{probability:6.1%}  {label}")
assert len(predictions) == 5, f"expected five labels, got {len(predictions)}"
assert all(isinstance(label, str) for label, _ in predictions), "a label is a text, not the number of a class"
chances = [probability for _, probability in predictions]
assert chances == sorted(chances, reverse=True), "the most probable label comes first"
assert 0 < sum(chances) <= 1.0001, "probabilities lie between 0 and 1 and sum to at most 1"

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "pretrained", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `pretrained` run here when the work is graded:
# other shapes and other values, but the same contract.

# %%
figure = plot_predicted_labels(photo, predictions)

# %% [markdown]
# ## 13. Optional: summarising text with T5
#
# This section has no points. The transformer was invented for text, and the same package has models for it. T5 (Raffel et al., 2020)
# is an encoder–decoder: an encoder like yours reads the text, and a decoder writes the answer word by word, attending to the encoder's
# outputs (cross-attention: queries from the decoder, keys and values from the encoder) and to what it has written so far. The text
# itself says what to do: "summarize: …".
#
# Try your own text, and other tasks that T5 was trained for, such as "translate English to German: …". (Offline, a tiny untrained
# model answers with nonsense.)

# %%
tokenizer, summariser = load_summariser()
text = (
    "summarize: Convolutional networks have long been the standard in computer vision. A Vision "
    "Transformer cuts an image into patches, treats the patches like the words of a sentence, and "
    "lets every patch attend to every other one. It has hardly any built-in knowledge about images "
    "and therefore needs more data than a convolutional network. With enough data it is at least as "
    "accurate, and the same network can learn from text and sound."
)
words = tokenizer(text, return_tensors="tf", truncation=True, max_length=512).input_ids
summary = summariser.generate(words, max_new_tokens=60)
print(tokenizer.decode(summary[0], skip_special_tokens=True))
