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
#   (Data, plots, public tests and experiments are given, in `lab_tools.py`, `public_tests.py` and
#   `experiments.py`.)
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
# The first cell makes the notebook load `utilities.py` again whenever you have saved it, so that you
# seldom need to restart. One thing it cannot do: a *class* that was imported before keeps some of its
# old parts, which fails with `super(type, obj): obj must be an instance or subtype of type` once you
# add a method such as `build` that calls `super()`. Therefore the cells below re-import a class
# where they use it; do the same in cells of your own. If you see that message, restart the kernel
# and run all cells.
#
# The libraries also print less from now on. (TensorFlow may still print lines about oneDNN or CUDA
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
# This lab is made of matrix products, which a GPU computes much faster than a processor. The cell below shows what
# TensorFlow finds. A GPU by NVIDIA that is not listed needs TensorFlow's CUDA packages, on Linux or in WSL 2 on
# Windows: `README.md` says how to install them. GPUs of other makers, and those under Windows itself, are not used.
# Only the full profile needs a GPU.
#
# By default TensorFlow takes all of a GPU's memory at once. `set_memory_growth` lets it take what it needs, so that
# other notebooks (and other people) can use the rest.

# %%
gpus = tf.config.list_physical_devices("GPU")
for gpu in gpus:
    tf.config.experimental.set_memory_growth(gpu, True)
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
# | | `"quick"` | `"cpu"` | `"full"` |
# |---|---|---|---|
# | images | 1797 digits that come with scikit-learn | 10,000 + 2,000 images of CIFAR-10 (170 MB, downloaded once) | the same as `"cpu"` |
# | trained in section 10 | the small model | the small model | the large model of section 9 |
# | small model | width 32, 2 heads, 2 layers | width 32, 2 heads, 2 layers | width 512, 4 heads, 3 layers |
# | time for the whole notebook | a minute or two on a laptop | some minutes on a laptop | on one GPU (RTX 4000 Ada) some 7 minutes for the large model, and a few more for the rest; far too long without a GPU |
#
# `choose_profile` picks `"quick"` until CIFAR-10 has been downloaded; after that, `"full"` with a GPU and `"cpu"`
# without one. It says what it picked. Do everything in the quick profile first: it needs no network. To get CIFAR-10,
# run `load_images("cifar10")` once while you are online. To decide yourself, write `profile = "quick"`, `"cpu"` or
# `"full"` in the next cell (you may change it, it is not graded), and run the notebook again from there. When your work
# is graded, even smaller sizes are used.

# %% tags=["grading"]
profile = choose_profile()  # or "quick", "cpu" or "full"

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "parameters", "locked": true, "schema_version": 3, "solution": false, "task": false} tags=["parameters", "grading"]
# Sizes of this run.
full = profile == "full"
dataset = "digits" if profile == "quick" else "cifar10"
n_train, n_test = 10_000, 2_000  # or as many as there are
epochs, batch_size, learning_rate = {"quick": (20, 64, 3e-3), "cpu": (10, 64, 1e-3), "full": (30, 64, 1e-4)}[profile]
carbon_epochs = {"quick": 8, "cpu": 4, "full": 30}[profile]
small_model_params = {
    "input_shape": (32, 32, 3),
    "num_classes": 10,
    "patch_size": 16 if full else 4,
    "embedding_proj_dim": 512 if full else 32,
    "num_heads": 4 if full else 2,
    "msa_proj_dim": 512 if full else 32,
    "transformer_layers": 3 if full else 2,
    "msa_dropout_rate": 0.1,
    "mlp_classification_head_units": [2048] if full else [64],
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
#
# The exponential of minus half a square is one **kernel** $\kappa$ of many: any function will do that is never negative
# and falls off with the distance, $a_i(x) = \kappa\big((x - x_i)/\sigma\big) / \sum_j \kappa\big((x -
# x_j)/\sigma\big)$. The function `nadaraya_watson(q, k, v, kernel, sigma)` below takes the kernel as an argument, and
# four kernels are given. Only for the first one, the Gaussian, are the weights a softmax; the other three are exactly 0
# beyond the distance $\sigma$.

# %%
def true_function(x):
    return 2 * np.sin(x) + x


def gaussian(u):
    return np.exp(-(u**2) / 2)


def boxcar(u):
    return (np.abs(u) <= 1).astype(float)


def triangular(u):
    return np.maximum(0, 1 - np.abs(u))


def epanechnikov(u):
    return np.maximum(0, 1 - u**2)


def nadaraya_watson(q, k, v, kernel, sigma):
    """Return predictions, (queries,), and attention weights, (queries, keys)."""
    similarities = kernel((q[:, None] - k[None, :]) / sigma)  # (queries, keys), never negative
    weights = similarities / similarities.sum(axis=-1, keepdims=True)  # each row sums to 1
    return weights @ v, weights


rng = np.random.default_rng(0)
x_keys = np.sort(rng.uniform(0, 10, size=50))
y_values = true_function(x_keys) + rng.normal(size=50)  # unit noise
x_queries = np.linspace(0, 10, 70)
sigmas = (0.1, 0.5, 1.0, 4.0)
regressions = {sigma: nadaraya_watson(x_queries, x_keys, y_values, gaussian, sigma) for sigma in sigmas}

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

# %%
figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, sharey=True, layout="constrained")
for axis, kernel in zip(axes.flat, (gaussian, boxcar, triangular, epanechnikov), strict=True):
    predictions, _ = nadaraya_watson(x_queries, x_keys, y_values, kernel, sigma=1.0)
    axis.scatter(x_keys, y_values, s=8, color="C7", label="training points")
    axis.plot(x_queries, true_function(x_queries), "--", color="C0", label="2 sin x + x")
    axis.plot(x_queries, predictions, color="C3", label="prediction")
    axis.set_title(f"{kernel.__name__}, σ = 1")
axes[0, 0].legend()
_ = figure.supxlabel("x"), figure.supylabel("y")

# %% [markdown]
# These are the Gaussian's weights themselves: each row is a query, each column a key, both in the order of their
# positions on the $x$ axis, so that nearby keys are near the diagonal. Such a picture is called an attention heat map.
# You will draw another at the end of section 10, for your own transformer and an image. (Each picture has its own
# colour scale.)

# %%
figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex=True, sharey=True, layout="constrained")
for axis, (sigma, (_, weights)) in zip(axes.flat, regressions.items(), strict=True):
    shown = axis.imshow(weights, vmin=0, cmap="viridis", aspect="auto")
    axis.set_title(f"σ = {sigma:g}")
    figure.colorbar(shown, ax=axis, label="attention weight")
_ = figure.supxlabel("key (training point)"), figure.supylabel("query (validation point)")

# %% [markdown]
# Compare the pictures of predictions and weights. How many keys does a query hear? Count them by $1 / \sum_i a_i^2$,
# which is $n$ for $n$ equal weights. With $\sigma = 0.1$ a query typically hears only 2 of the 50 keys, and the
# prediction follows the noise. With $\sigma = 4$ it hears 43 of them: the prediction is much too flat, but not yet the
# mean of all values (5.6), since it still rises from 3.5 to 7.5. In between, with $\sigma = 0.5$, it hears 8 keys, and
# the mean squared error is the least of the four.
#
# The kernel matters less than its width: over the four kernels, at $\sigma = 1$, the mean squared error goes from 0.17
# to 0.62, over the four widths from 0.20 to 4.40. And the kernels differ in width, too: at $\sigma = 1$ the Gaussian
# hears 15 keys, the others 7 to 9. One difference remains: a kernel that ends may find no key within its reach, and
# then there is no prediction (0/0), as for 18 of the 70 queries of the boxcar with $\sigma = 0.1$; a softmax always has
# one.
#
# ### From distances to dot products
#
# Now let queries and keys be vectors, $q, k_i \in \mathbb{R}^d$. Their distance hides a dot product:
#
# $$
# -\tfrac{1}{2} \lVert q - k_i \rVert^2 = q \cdot k_i - \tfrac{1}{2} \lVert q \rVert^2 - \tfrac{1}{2} \lVert k_i \rVert^2 .
# $$
#
# Divide by $\sigma^2$, and these are the scores of the Gaussian kernel. The term with $\lVert q \rVert^2$ is the same
# for all keys, so the softmax over the keys removes it. If all keys have the same length, $\lVert k_i \rVert^2$ goes in
# the same way. What is left is
#
# $$
# a_i(q) = \mathrm{softmax}_i\!\left(\frac{q \cdot k_i}{\sigma^2}\right),
# $$
#
# and with $\sigma^2 = \sqrt{d}$ this is the attention of transformers, which you build next. Transformers do not make
# keys equally long, so this is a bridge and not an identity: a longer key gets larger scores, positive or negative. But
# since learned projections make the queries and keys, a transformer learns its own notion of what is near, and, by the
# length of queries and keys, its own "$\sigma$".

# %% [markdown]
# To see the bridge, bend the $x$ axis into a quarter of a circle: each number becomes a vector of length 1, and numbers
# that were near each other stay near. Then take dot products in place of distances. *Look for:* with vectors of equal
# length the two predictions are the same curve; with the numbers themselves as keys (right), the largest key wins
# nearly everywhere, since nothing but the dot product counts (at $x = 0$ all of them are 0, which gives the mean).

# %%
def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def on_circle(x):
    angles = np.pi / 20 * x  # 0 to 10 becomes 0 to 90 degrees
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)  # (numbers, 2), each row of length 1


sigma = 0.5
by_distance, _ = nadaraya_watson(x_queries, x_keys, y_values, gaussian, sigma)
by_unit_vectors = softmax(on_circle(x_queries) @ on_circle(x_keys).T / (np.pi / 20 * sigma) ** 2) @ y_values
by_numbers = softmax(x_queries[:, None] * x_keys / sigma**2) @ y_values

figure, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True, layout="constrained")
titles = ("dot products of vectors of length 1", "dot products of the numbers themselves")
for axis, predictions, title in zip(axes, (by_unit_vectors, by_numbers), titles, strict=True):
    axis.scatter(x_keys, y_values, s=14, color="C7", label="training points (keys, values)")
    axis.plot(x_queries, by_distance, color="C1", linewidth=6, alpha=0.4, label="by distance (Gaussian, σ = 0.5)")
    axis.plot(x_queries, predictions, color="C3", label="by dot products")
    axis.set(title=title, xlabel="x")
axes[0].set_ylabel("y")
_ = axes[0].legend()

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_01_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 1** (2 points). Compare attention by kernel regression, as above, with a trained neural network. (a) Name
# one benefit, with its reason. (b) Name one drawback, with its reason.

# %% [markdown] autograder={"rubric": [{"id": "benefit", "points": 1, "text": "One benefit with its reason: nothing is trained, so new data count at once; one number to choose; any smooth function with enough data; the weights show where a prediction comes from; it stays within the values seen. Named without a reason: nothing."}, {"id": "drawback", "points": 1, "text": "One drawback with its reason: all data are kept and compared at each prediction; a fixed distance, so that irrelevant inputs count or many dimensions need far more data; one width everywhere; no trend outside the data. Named without a reason: nothing."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_01", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) Benefits: nothing is trained, so new data count at once, and there is a single number to choose, $\sigma$. The
# method is non-parametric: with more data (and a smaller $\sigma$) it comes arbitrarily close to any smooth function.
# The prediction can be explained: the weights say which training points it comes from. It never leaves the range of the
# values seen.
#
# (b) Drawbacks: all training data must be kept and compared with each query, so time and memory at prediction grow with
# $n$ ($N_q \cdot n$ weights), whereas a trained network's cost is fixed. The notion of distance is fixed, too: all
# directions count the same, relevant or not, and in many dimensions all points are about equally far apart, so
# exponentially many of them are needed. $\sigma$ is the same everywhere, although dense regions could afford a small
# one. Beyond the training data the method cannot follow a trend: it sticks to the nearest values, which also biases it
# at the edges. Learned projections of queries and keys, as in a transformer, remove the limit of a fixed distance.
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
#
# (The projections of section 4 have to play along: if a query is made from $D$ inputs of variance 1,
# its features have variance 1 when the weights start with variance $1/D$, as the initialiser
# `"lecun_normal"` of Keras draws them. `"glorot_uniform"`, the default, takes the mean of inputs and
# outputs instead, which makes the scores of many heads start smaller; both learn.)

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
# narrow head the largest weight grows from 0.41 to 0.65. In the wide head it grows from 0.28 to more
# than 0.999: one key takes everything.

# %%
rng = np.random.default_rng(3)
figure, axes = plt.subplots(1, 2, figsize=(10, 3), sharey=True)
for axis, head_dim in zip(axes, (4, 1024), strict=True):
    query, keys = (tf.constant(rng.normal(size=(number, head_dim)), tf.float32) for number in (1, 8))
    for shift, factor, label in ((-0.2, 1.0, "scaled"), (0.2, head_dim**0.5, "not scaled")):
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
# many heads there are, whereas the paper divides the width among the heads.

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
from utilities import MultiHeadAttention

tokens = tf.random.stateless_normal((1, 6, 16), seed=(0, 2))
_, weights = MultiHeadAttention(2, 16, 16, 16, return_attention_weights=True)(tokens, tokens, tokens)
weights = np.broadcast_to(weights if len(weights.shape) == 4 else weights[:, None], (1, 2, 6, 6))
figure, axes = plt.subplots(1, 2, figsize=(8, 3.5))
for head, axis in enumerate(axes):
    shown = axis.imshow(weights[0, head], vmin=0, vmax=1, cmap="viridis")
    axis.set(title=f"head {head + 1}", xlabel="key (token asked)", ylabel="query (token asking)")
_ = figure.colorbar(shown, ax=axes, label="attention weight")

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_02_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 2** (2 points). Before transformers, a recurrent *encoder* read a sentence word by word, and a recurrent
# *decoder* wrote its translation; attention connected the two (Bahdanau et al., 2015; perhaps you met it in an RNN
# lab). Compare the self-attention of a ViT with it. (a) Where do queries, keys and values come from in each case? (b)
# How does each model know the order of its input?

# %% [markdown] autograder={"rubric": [{"id": "sources", "points": 1, "text": "Queries from the decoder, keys and values from the encoder (two sequences), against queries, keys and values from the same tokens. Only one of the two sides: nothing."}, {"id": "order", "points": 1, "text": "There the recurrence gives the order, here position embeddings do. That attention alone ignores it need not be said. Only one of the two sides: nothing."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_02", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) There the query comes from the decoder (its current state), and keys and values from the encoder (one hidden state
# for each input word). It is *cross*-attention between two sequences, computed again for each output word. In a ViT
# queries, keys and values are three learned projections of the *same* tokens, the patches and the class token: every
# token attends to every other one, for all tokens in parallel, in every layer and in several heads.
#
# (b) The recurrent model has the order built in: each encoder state follows from the one before it, so it summarises
# the words up to its own. In a ViT attention is the only place where tokens exchange information, and it treats them as
# a set (shuffled tokens give shuffled outputs). So the order must be added to the input, here by the position
# embedding.
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_03_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 3** (2 points). Take one self-attention layer with $N$ tokens of $D$ features and heads of width $d$. (a)
# How do the time and the memory of the scores and of the mixture grow with $N$ and $d$? And the time of the projections
# with $N$, $D$ and $d$? (b) How many scores does the attention of question 2 compute for $N$ input words and
# $N_{\text{out}}$ output words? In how many layers and heads does it do so?

# %% [markdown] autograder={"rubric": [{"id": "time", "points": 0.5, "text": "The time of scores and mixture grows like N squared times d (in each head)."}, {"id": "memory", "points": 0.5, "text": "The memory of the weights grows like N squared (in each head)."}, {"id": "projections", "points": 0.5, "text": "The projections take time like N times D times d (N times D squared with d = D, or over all heads of the paper): linear in N."}, {"id": "recurrent", "points": 0.5, "text": "There: N_out times N scores, and these in one place only, not in every layer and head. One of the two alone: nothing."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_03", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) In each head, each of $N$ queries is compared with each of $N$ keys: the two products $QK^{\top}$ and $AV$ take $2
# N^2 d$ multiplications, and the weights take $N^2$ numbers, which must be kept for the backward pass. Twice as many
# tokens cost four times as much. With pixels as tokens, a 224 by 224 image has 50,176 tokens and 2.5 billion weights
# per head: this is why a ViT uses patches. The four projections take $4 N D d$ for each head: that is linear in $N$,
# and more than the scores and the mixture as long as $N < 2D$. In ViT-Base ($N = 197$, $D = 768$) it is 7.8 times as
# much, so there the quadratic part is the smaller one; for long sequences it decides.
#
# (b) The decoder asks with one state for each output word: $N_{\text{out}} N$ scores of width $d$, so about
# $N_{\text{out}} N d$ multiplications for the scores and as many for the mixture. This happens once, not in every layer
# and in every head. The recurrence itself is linear in $N$ (about $N d^2$) and has a state of constant size, but it
# cannot be computed in parallel over the words.
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_04_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 4** (2 points). Compare a layer of scaled dot-product self-attention with a recurrent layer of the same
# width $D$. (a) Why is it faster on a GPU, although it takes no fewer multiplications? (b) Name one more advantage,
# with its reason.

# %% [markdown] autograder={"rubric": [{"id": "parallel", "points": 1, "text": "All tokens at once, against N steps one after the other. Matrix products need not be named. 'Fewer multiplications' or 'GPUs are good at it' alone: nothing (the former forgets the projections, 4 N D squared)."}, {"id": "second", "points": 1, "text": "One more with its reason: any two tokens are one step apart, so gradients do not pass N steps; or the dot product needs no network of its own for each pair."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_04", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) Attention is a few large matrix products over all tokens, heads and batch items at once, which is what a GPU does
# best. No step waits for another one: the number of sequential operations is constant in $N$, while a recurrent layer
# takes $N$ steps one after the other, each too small to fill the GPU. It does not do less: with heads of width $D / H$,
# as in the paper, the projections alone take $4 N D^2$ multiplications and scores and mixture $2 N^2 D$ more, a simple
# recurrent layer takes $2 N D^2$ in all. ("$N^2 D$ is less than $N D^2$ for short sequences" forgets the projections.)
#
# (b) Any two tokens are one step apart, so gradients between distant tokens do not pass through $N$ recurrent steps,
# where they vanish or explode. And the dot product compares a query with a key without parameters or a non-linearity of
# its own, whereas additive attention runs a small network for each pair.
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_05_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 5** (2 points). The heads of multi-head attention are often compared with the kernels of a convolutional
# layer. (a) Name one respect in which the comparison holds. (b) Name one in which it fails. Say for each what heads and
# kernels do.

# %% [markdown] autograder={"rubric": [{"id": "holds", "points": 1, "text": "One of: parallel detectors that each specialise in a pattern; results side by side, mixed afterwards; weights shared by all positions."}, {"id": "fails", "points": 1, "text": "One of: a neighbourhood against all tokens; constant weights against weights computed from the content; any sign against positive weights of sum 1; built-in against learned positions. Both sides must be said."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_05", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) Both are a bank of detectors with separate weights that work in parallel on the same input; each can specialise in
# another kind of pattern, their results are put side by side, and the next layer (or $W^O$) mixes them. In both cases
# all positions share the weights. Heads can even *learn* to attend to fixed offsets, and enough of them can then
# express a convolution.
#
# (b) A kernel sees a small fixed neighbourhood, and its weights for each offset are constant after training. A head
# sees all tokens, and its mixing weights are computed from the content, for each input and each query. They are also
# positive and sum to 1, so a single head averages, whereas a kernel can take differences (signs come in only through
# $W^V$ and $W^O$). And a kernel knows relative positions by construction, a head only through position embeddings.
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
# * **Dropout** with the rate $r$ sets each number to 0 with probability $r$, and divides the others by
#   $1 - r$, so that their expectation stays. It acts in training only; in inference it does nothing.
#   No feature can then rely on a particular other one, which keeps a large network from learning its
#   training data by heart. It is regularisation: with little data a higher rate helps, until the
#   network can no longer fit the data at all.
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
# **Question 6** (2 points). What are the residual connections of your block good for, in a stack of twelve layers? (a)
# In the backward pass: how does a gradient reach the first layer? (b) In the forward pass: what does a sublayer have to
# learn, and what stays of its input?

# %% [markdown] autograder={"rubric": [{"id": "gradient", "points": 1, "text": "A way for the gradient past the sublayers (the I in I + f'). What becomes of it without that way need not be said. 'It does not vanish' without the way: nothing. That layer normalisation lies on it in post-norm need not be said; a 'pure identity', true of pre-norm only, is accepted."}, {"id": "correction", "points": 1, "text": "One of: the sublayer learns a correction of its input; the token's content and position are kept, where attention alone averages."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_06", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) The derivative of $x + f(x)$ is $I + f'(x)$: besides the way through the sublayer there is one past it, so that
# the gradient reaches the first of twelve layers even if some sublayers shrink it. Without it the gradient is a product
# of many factors and tends to vanish (or explode). In our post-norm block this way is not a pure identity, since the
# layer normalisation after each addition lies on it: where a sublayer's result is as large as its input and independent
# of it, the normalisation divides by $\sqrt{2}$, after 24 sublayers by 4,096. Then the gradient rests on what the
# sublayers pass on; such stacks often need a warm-up of the learning rate. The ViT paper normalises before each
# sublayer: then nothing but additions lies on the way.
#
# (b) A sublayer only has to learn a *correction* of its input, which is easier than to learn the whole mapping; one
# that is not needed can stay small. The content and position of each token survive: attention alone returns averages,
# and repeated averaging would make all tokens alike.
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_07_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 7** (2 points). (a) Over which numbers does layer normalisation take mean and variance, and what is that
# good for in a deep stack? (b) Name one reason to prefer it to batch normalisation here.

# %% [markdown] autograder={"rubric": [{"id": "axis", "points": 0.5, "text": "Over the features of one token of one example."}, {"id": "effect", "points": 0.5, "text": "One of: sizes stay comparable from layer to layer; the softmax does not saturate; more stable training, or larger learning rates."}, {"id": "batch", "points": 1, "text": "One reason: batch statistics are noisy for small batches; differ between training and inference; make examples depend on each other; are ill-defined for padded sequences. Or the same said of layer normalisation: it needs the token alone."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_07", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) It takes the features of one token in one example, subtracts their mean and divides by their standard deviation,
# and then applies a learned scale and shift for each feature. So the inputs of each sublayer keep a comparable size:
# sums from the residuals do not grow from layer to layer, the softmax of the attention does not saturate, and training
# is more stable and allows larger learning rates.
#
# (b) Batch normalisation computes its statistics over the examples of a batch (and over positions). They are noisy for
# small batches, differ between training and inference, and make examples depend on each other; with sequences of
# different length and padding they are ill-defined. Layer normalisation needs nothing but the token itself, and does
# the same in training and in inference, for any batch size and any number of tokens.
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
# **Why patches, and not pixels?** Attention compares all tokens with all tokens, which takes time on the order of $N^2
# D$, and $N^2$ weights for each head and layer. An image of 32 by 32 pixels has 1024 of them: more than a million
# weights for each head, for each image of a batch. One of 224 by 224 pixels has 50,176, and 2.5 billion weights. With
# patches of 16 by 16 pixels it is 196 tokens, and 38,416 weights (the class token makes it a few more). Patches also
# give every token something to say: one pixel tells next to nothing about an image.
#
# ![The Vision Transformer from image to logits: the image is cut into patches, which become tokens with a class token and positions, pass through the encoder layers, and the class token goes through the head.](images/vit.svg)
#
# First the data. The loader returns images of 32 by 32 pixels with three channels, as `uint8`, and
# integer labels. In the profiles `"cpu"` and `"full"` these are the first 10,000 training and 2,000
# test images of CIFAR-10, which leaves 7,500 for training after the split; in the quick one, all 1797
# digits in the same proportion.

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
from utilities import PatchExtractor

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
#   goes on to the classifier. Why a token of its own? The classifier needs one vector for the whole
#   image. The output of a patch has to describe that patch; the class token has nothing else to do,
#   and favours no place in the image. The mean of all outputs would do as well (the paper compares
#   the two in its appendix D), but it gives every patch the same weight, while the class token learns by
#   attention what to look at.
# * **Positions.** Attention does not know the position of a token: shuffle the tokens, and the
#   outputs are shuffled in the same way. Therefore each position in the sequence has its own learned
#   vector, a row of $P$, of shape $(N + 1, D)$, which is added to the token at this position. This
#   includes the class token.
#
# **Learned or fixed positions?** Vaswani et al. calculate $P$ in place of learning it: with sines and cosines of many
# wavelengths,
#
# $$
# P_{i,\,2j} = \sin\!\big(i / 10000^{2j/D}\big), \qquad P_{i,\,2j+1} = \cos\!\big(i / 10000^{2j/D}\big) .
# $$
#
# Each row is different, all have the same length, and the dot product of two rows depends only on how far apart the
# positions are. Fixed positions need no training and go on for longer sequences. Learned ones suit the length they were
# trained for only, but are free to find out that patches lie in *two* dimensions, while the sines know one, the order
# of reading: in the figure, the patches to the left and right of one are the most similar to it (0.97), those above and
# below (0.70) hardly more so than others that are farther away (up to 0.67). In this lab, as in the ViT paper,
# positions are learned.

# %%
side, width = 8, 64
position, feature = np.arange(side**2)[:, None], np.arange(width)[None, :]
angles = position / 10_000 ** (feature // 2 * 2 / width)
sines = np.where(feature % 2 == 0, np.sin(angles), np.cos(angles))  # (patches, features)
similarity = sines @ sines[27] / np.linalg.norm(sines[27]) ** 2  # to the patch in row 3, column 3, counted from 0
figure, axes = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
shown = axes[0].imshow(sines, vmin=-1, vmax=1, cmap="RdBu_r", aspect="auto")
figure.colorbar(shown, ax=axes[0], label="value")
axes[0].set(title="the table P, calculated", xlabel="feature", ylabel="position")
axes[1].plot(similarity, marker=".")
axes[1].set(title="similarity to position 27", xlabel="position", ylabel="cosine similarity")
shown = axes[2].imshow(similarity.reshape(side, side), vmin=-1, vmax=1, cmap="RdBu_r")
axes[2].set(title="the same, laid out as an image", xlabel="column (patches)", ylabel="row (patches)")
_ = figure.colorbar(shown, ax=axes[2], label="cosine similarity")

# %% [markdown]
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
# * Keras starts the positions near 0, at most 0.05. The projected patches are some thirty times as large, so at first a
#   position hardly shows, and with little data it takes very long until the model uses it. Let the table start with a
#   standard deviation of 0.5: `embeddings_initializer=keras.initializers.RandomNormal(stddev=0.5)`. (Not graded, but
#   your model learns much faster.)
# * The class token is one trainable weight, made once. In `call` it must be repeated for every
#   image of a batch whose size is not known yet: `tf.shape(patches)[0]`.
# * Join along the right axis, *then* add the positions. How many rows does the table need?

# %% nbgrader={"cell_type": "code", "grade": false, "grade_id": "patch_encoder_public_test", "locked": true, "schema_version": 3, "solution": false, "task": false}
from utilities import PatchEncoder

test_PatchEncoder(seed=1)
print(PatchEncoder(num_patches=16, projection_dim=192)(tf.cast(patches, tf.float32)).shape)

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "patch_encoder", "locked": true, "points": 8, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `patch_encoder` run here when the work is graded:
# other shapes and other values, but the same contract.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_08_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 8** (2 points). A linear projection of raw pixels is only one way to make tokens from an image. Describe
# two others, and say what you expect from each. (A convolution whose stride equals the size of its kernel does not
# count: it *is* the linear projection, in other words.)

# %% [markdown] autograder={"rubric": [{"id": "first_way", "points": 0.5, "text": "A way that is not the linear projection: several convolutional layers, overlapping patches, several scales, a code book, other positions. A convolution with stride = kernel, or patches of another size, is the projection itself: nothing."}, {"id": "first_effect", "points": 0.5, "text": "What is to be expected of it: of data, cost, detail or locality. 'Better' alone, or of a way that does not count: nothing."}, {"id": "second_way", "points": 0.5, "text": "A second way, of another kind."}, {"id": "second_effect", "points": 0.5, "text": "What is to be expected of the second, by the same measure."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_08", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# * **Convolutional stem, hybrid**: run a few convolutional layers (or a ResNet) first and use the positions of the
#   feature map as tokens. This brings in locality and low-level features, trains more stably and needs less data.
# * **Overlapping patches**: a convolution whose stride is smaller than its kernel. Edges between patches are no longer
#   blind spots; more tokens, so more expensive.
# * **Patches at several scales**, or merging neighbours from layer to layer as in the Swin transformer: fine detail and
#   overview at once.
# * **A learned code book**: quantise patches with an autoencoder (VQ-VAE, as for BEiT's targets) and use one embedding
#   for each code, like words.
# * **Other positions**: fixed sines, separate embeddings for row and column, or relative positions in the attention
#   scores; they carry over to other image sizes.
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_09_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 9** (2 points). A ViT makes hardly any assumptions about images, a convolutional network makes strong ones.
# (a) Name two of these assumptions. (b) What is the price of the ViT's generality, and from about how many training
# images on did it pay off in the paper (Dosovitskiy et al., figures 3 and 4)?

# %% [markdown] autograder={"rubric": [{"id": "first_assumption", "points": 0.5, "text": "Locality, translation equivariance (shared weights), or a hierarchy of scales."}, {"id": "second_assumption", "points": 0.5, "text": "A second one of these."}, {"id": "price", "points": 0.5, "text": "More data, or augmentation, regularisation or pretraining; overfits on small data sets. 'Slower' or 'more computation' alone: nothing."}, {"id": "pays_off", "points": 0.5, "text": "A number of images between 10 and 300 million (14 million: level; 90 or 300 million: ahead). 'Large data sets' without a number: nothing."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_09", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) A convolution has two assumptions built in: *locality* (what belongs together is close together) and *translation
# equivariance* (a pattern means the same everywhere; weights are shared), and a stack of them with pooling adds a
# hierarchy of scales. A ViT knows the neighbourhood of pixels only within a patch. It must learn from examples which
# patches are neighbours and that an object may move: the position embedding starts without any order.
#
# (b) The price is data, and the computation to train on so many: on small data sets it overfits, and learns less than
# a convolutional network of the same cost, so it needs augmentation, regularisation or pretraining. In the paper,
# ViTs pretrained on ImageNet (1.3 million images) stay behind the ResNets, on ImageNet-21k (14 million) they are
# about level, and on JFT (300 million) they are ahead. On parts of JFT the smaller models are behind at 9 million
# images and ahead from 90 million on. So it pays off somewhere between ten and a hundred million images, where a
# model is no longer helped but limited by assumptions that do not quite hold, e.g. for relations between distant
# parts; and the same architecture serves text, sound and images.
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
#    take only the class token out of $Z_L$, at the position where your `PatchEncoder` put it. It goes
#    through the mlp head, and then through one more Dense layer, which gives the logits and has no
#    activation. (The mlp ends in a Dense layer without activation as well, and two linear layers in a
#    row are only one: you may put a non-linearity between them.) If `data_augmentation` is given, it
#    is a layer that the images go through first.
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
# Make the dictionary model_params, with the names of create_vit_classifier's arguments, and the model vit:
#     model_params = {
#         "input_shape": (..., ..., ...),
#         "num_classes": ...,
#         "patch_size": ...,
#         "embedding_proj_dim": ...,
#         "num_heads": ...,
#         "msa_proj_dim": ...,
#         "transformer_layers": ...,
#         "msa_dropout_rate": ...,
#         "mlp_classification_head_units": [...],
#         "mlp_classification_head_dropout_rate": ...,
#     }
#     vit = create_vit_classifier(**model_params)
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
# for each attention layer, $2 D$ for each layer normalisation, (inputs + 1) times outputs for
# each Dense layer (the projection of the patches is one), $D$ for the class token, and $(N + 1) D$ for
# the positions.

# %%
vit.summary(line_length=110)

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_10_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 10** (2 points). The paper's ViT-Base (table 1 there) has the same number of layers and heads and the same
# width as your large model. (a) How many parameters have the two? (b) Which part of the model makes the difference, and
# why? Calculate it for one layer.

# %% [markdown] autograder={"rubric": [{"id": "counts", "points": 1, "text": "Both numbers: about 371 million and about 86 million (86 to 87 are fine). One of them: nothing."}, {"id": "cause", "points": 0.5, "text": "The attention layers, since our heads are D wide and the paper's D / H."}, {"id": "numbers", "points": 0.5, "text": "For one layer: 4 H D squared, about 28.3 million, against 4 D squared, about 2.4 million (or their ratio, 12)."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_10", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) Ours has about 371 million (371,104,544), the paper's 86 million, less than a quarter.
#
# (b) The attention layers make the difference. Our heads are all $D = 768$ wide, so one attention layer has $4 H D^2 =
# 4 \cdot 12 \cdot 768^2 \approx 28.3$ million parameters. In the paper the heads share the width: each has $D / H = 64$
# features, and a layer has $4 D^2 \approx 2.4$ million (plus biases), a twelfth of ours. Over 12 layers that is 340
# million against 28 million.
#
# Smaller differences go the other way: our mlp has a hidden width of $2 D$ (2.4 million a layer), the paper's $4 D$
# (4.7 million), over 12 layers 28 against 57 million; we have 5 positions, the paper 197. Our head adds 2.4 million. In
# all: paper $28 + 57 + 1 \approx 86$, ours $340 + 28 + 3 \approx 371$ million. Wide heads make the model larger, not
# necessarily better: the scores of a head need few features.
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
# In the full profile the next cell trains the large model, in the others the small one. The
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
# What has the model learned to look at? The class token asks all patches in every layer. Its row of the attention
# weights, without the weight it gives to itself, has one number for each patch and can be laid over the image. The cell
# takes these weights from *your* layers, with `return_attention_weights=True`, and shows their mean over the heads. If
# your class token comes last, write `class_token=-1` in both cells.
#
# Bright patches received much attention. A map of the large model has only 2 by 2 patches, which shows nothing; in the
# full profile the cell therefore first trains a small model with patches of 4 by 4 pixels, hence 8 by 8 of them, as the
# small model of the other profiles has. In the first layer the class token asks the same of every image, so its map
# shows which contents it looks for: with digits, often the strokes. In later layers what it asks depends on the image,
# and a few patches may get nearly all attention. Interpret the maps with care: attention weights say which *values*
# were mixed, not which pixels the decision depends on.

# %%
inspected = model
if profile == "full":
    inspected = create_vit_classifier(**{**small_model_params, "patch_size": 4})
    run_experiment(inspected, (Xtrain, Ytrain), (Xval, Yval), None, epochs, batch_size, learning_rate, "inspected", False)
figure = plot_class_token_attention(inspected, Xval[:3], class_token=0)

# %% [markdown]
# And the position embeddings? Each patch has its own vector, which was random before training. Nobody told the model
# which patches are neighbours. In the next figure, the map at row $i$ and column $j$ shows the cosine similarity
# between the position embedding of patch $(i, j)$ and those of all patches, so it is 1 (dark red) at the patch's own
# position. After training on enough images, patches that are close, or in the same row or column, have similar
# embeddings: the model has found out that images have two dimensions. With the little data of this lab you see the
# beginnings of this at best; figure 7 in Dosovitskiy et al. shows the result for 300 million images.

# %%
figure = plot_position_similarity(inspected, class_token=0)

# %% [markdown]
# For the following questions train at least one model on CIFAR-10: without a GPU, in the profile
# `"cpu"`, which takes minutes. Experiments 3 and 4 of section 14 may help, too.

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_11_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 11** (2 points). (a) Which accuracy do your ViT and a CNN reach on the same test images of CIFAR-10, and on
# how many images, for how many epochs, did you train them? As the CNN, take `build_cnn_baseline` (the next section
# trains it) or the one of a CNN lab. (b) Explain the difference.

# %% [markdown] autograder={"rubric": [{"id": "numbers", "points": 0.5, "text": "The test accuracies of both, with the number of training images and of epochs (once, if the same for both). Any of these missing: nothing. That the test images were the same need not be said."}, {"id": "cifar", "points": 0.5, "text": "The numbers are from CIFAR-10. Numbers from the digits alone do not earn this half point; they can earn all the rest."}, {"id": "explanation", "points": 1, "text": "The ViT lacks what the CNN has built in (locality, translation equivariance, 'its inductive biases') and would have to learn it from the images. 'Too few images', 'it overfits', 'no pretraining', 'too few epochs' or 'a worse model' without this: nothing."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_11", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) (Use the numbers of your own run.) In one student's run with 7,500 training images and 30 epochs, the large ViT
# reached 34.7 % on the test images and the small one 39.2 % (chance: 10 %): the large model is not better. That
# course's CNN passed 60 %. On the digits both do well, the CNN better; that says less, since digits stand upright in
# the middle of their images.
#
# (b) The CNN has locality and translation equivariance built in and needs few parameters. The ViT must learn them, from
# far too few images for its number of parameters: the curves show it overfitting, with the training accuracy rising
# while the validation accuracy stays and the validation loss rises. On top of this, with 16 by 16 patches an image is
# only 4 tokens, so there is little for attention to relate; post-norm layers without a warm-up of the learning rate are
# hard to train; and there is no pretraining, on which the results of the paper rest.
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_12_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 12** (2 points). `create_vit_classifier` takes `data_augmentation`, which has been `None` so far. (a) Name
# two transformations that you would give it for CIFAR-10, and one that suits CIFAR-10 but not the digits, with the
# reason. (b) Why does a ViT need augmentation more than a CNN does?

# %% [markdown] autograder={"rubric": [{"id": "transformations", "points": 0.5, "text": "Two that keep the label of a CIFAR-10 image."}, {"id": "unsuited", "points": 0.5, "text": "One that does not suit digits, with the reason: flips or large rotations, since the label changes or no digit is left. It may be one of the two above."}, {"id": "reason", "points": 1, "text": "A CNN has such invariances (shifts at least) built in, a ViT must learn them from examples. 'It overfits' or 'more data' without the difference to a CNN: nothing."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_12", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) Augmentation transforms training images at random so that their label stays right; the model never sees the same
# image twice. For CIFAR-10: horizontal flips, small shifts or random crops after padding, small rotations and zooms,
# changes of brightness and colour, cutout; also mixtures of two images and their labels (mixup, CutMix). It acts on the
# training images only, never on validation or test images. Flips do not suit digits: a mirrored digit is not a digit,
# or (upside down, 6 and 9) another one.
#
# (b) A ViT does not know that a shifted or mirrored object is the same object; a CNN knows it in part, through shared
# kernels and pooling. Augmentation teaches the ViT these invariances through examples, and enlarges a data set that is
# small for its number of parameters.
# ### END SOLUTION

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_13_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 13** (2 points). Our classifier uses only the class token of the last encoder layer's output. How could you
# *segment* an image of $S$ by $S$ pixels with the other outputs, that is, assign one of $K$ classes to every pixel? (a)
# Which outputs do you take, and how do you arrange them? (b) How do you get from there to scores for every pixel? Give
# the shape after each step.

# %% [markdown] autograder={"rubric": [{"id": "grid", "points": 0.5, "text": "The tokens of the patches, put back into their grid. That the class token is left out need not be said; putting it in, too: nothing."}, {"id": "grid_shape", "points": 0.5, "text": "Its shape: (S/p, S/p, D), or (N, D) with N = (S/p) squared, rearranged."}, {"id": "pixels", "points": 0.5, "text": "One classifier for all tokens, and a way to all pixels: interpolation, transposed convolutions, or p squared times K numbers for each token."}, {"id": "pixels_shape", "points": 0.5, "text": "The shape at the end, (S, S, K)."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_13", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) After the last layer there is one token for each patch, $(N, D)$ without the class token, and each knows about its
# patch and, through attention, about the rest of the image. Put them back into their grid, $(S/p, S/p, D)$, in the
# order in which the patches were cut.
#
# (b) A Dense layer (or 1 by 1 convolution) shared by all of them gives class scores, $(S/p, S/p, K)$. Enlarge them to
# $(S, S, K)$ by bilinear interpolation or transposed convolutions; or let each token predict all its $p^2$ pixels at
# once, $p^2 K$ numbers, and put these where the patch was. The loss is the cross-entropy, averaged over the pixels.
#
# Since one token stands for $p$ by $p$ pixels, small patches or a decoder that also uses outputs of earlier layers (or
# of convolutions) are needed for sharp edges, at a higher cost, as the number of tokens grows.
# ### END SOLUTION

# %% [markdown]
# ### Try it: augmentation
#
# `create_vit_classifier` puts a layer, or several in a `Sequential`, before the patches if you pass it as
# `data_augmentation`. Keras' layers for augmentation act in training only. Here images are shifted by up to a tenth of
# their side; add the transformations of your answer to question 12, and compare the curves of training and validation
# with those above.

# %%
data_augmentation = keras.Sequential(
    [keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest")], name="data_augmentation"
)
augmented = create_vit_classifier(**small_model_params, data_augmentation=data_augmentation)
augmented_history = run_experiment(
    augmented,
    (Xtrain, Ytrain),
    (Xval, Yval),
    (Xtest, Ytest),
    epochs=carbon_epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    ckpt_path="augmented",
)
figure = plot_classifier_training_history(augmented_history)

# %% [markdown]
# ## 11. What does it cost? The carbon footprint
#
# Training takes energy, and most energy still costs carbon dioxide. The tracker of the package
# [carbontracker](https://github.com/lfwa/carbontracker) (Anthony, Kanding and Selvan, 2020) watches the power of GPU and
# processor while a model is trained:
#
# $$
# E = \mathrm{PUE} \cdot \sum_{\text{devices}} \frac{\bar{P}\, t}{1000\ \mathrm{W/kW}} , \qquad m = E \cdot I .
# $$
#
# | symbol | meaning | unit |
# |---|---|---|
# | $\bar{P}$ | mean power of a device during training | W |
# | $t$ | time of the training | h |
# | PUE | power usage effectiveness: what a data centre uses in all for each unit that its computers use (the tracker takes the world mean, 1.58) | – |
# | $E$ | energy | kWh |
# | $I$ | carbon intensity: emissions for each unit of electricity, which depends on country and hour (world average 445) | g CO₂eq / kWh |
# | $m$ | emissions, with all greenhouse gases counted as the amount of CO₂ that has the same effect (CO₂eq) | g |
#
# **What is measured, and what is estimated.** Graphics cards have a power meter. Many processors have one too, but on
# most machines only the administrator may read it. Without a meter, `make_carbon_tracker` *assumes* a constant power
# for the processor (45 W), which the tracker multiplies by the time: then the energies of two models differ only as
# their times do, and the mean power in the table is 71 W for both (45 W times the PUE). The line below the table says
# whether the power was measured or assumed. The carbon intensity is not measured, either: the tracker takes the yearly
# average of the country that it finds itself in (only with a key for a service such as Electricity Maps it asks for the
# value of the hour), or, without a network, the world average.
#
# **Check a meter against the clock.** One student of this lab was told by the tracker that 30 epochs of the small ViT
# took 45 minutes, 0.063 kWh and 2.6 g CO₂eq. Plausible? 0.063 kWh in 45 minutes is a mean power of 84 W, which a GPU
# may well draw. But 30 epochs of 118 steps of some 17 ms are only one minute, and the training took one and a half.
# What had happened: the tracker had been told of 30 epochs and had seen *one* "epoch", which was the whole training. So
# it multiplied by 30, time, energy and emissions alike, and printed what 30 such trainings would take. The true figures
# are 90 s, 0.0021 kWh and 0.085 g. A factor that hits everything leaves all ratios right: only an independent
# measurement, here a clock, can show it. The cell after your function therefore measures the time, too.
#
# ### Task: `measure_footprint` (2 points)
#
# Compare the small ViT with a convolutional network, `build_cnn_baseline`, which is given and much like the one of the
# CNN lab. Both see the same data, in batches of the same size, for the same number of epochs.
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
import time

contestants = {
    "ViT": create_vit_classifier(**small_model_params),
    "CNN": build_cnn_baseline(small_model_params["input_shape"], num_classes),
}
footprints = {}
for name, contestant in contestants.items():
    started = time.perf_counter()
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
    clock = time.perf_counter() - started
    _, accuracy = contestant.evaluate(Xtest, Ytest, batch_size=batch_size, verbose=0)
    footprints[name] = {
        **read_footprint(f"carbon/{name.lower()}"),  # from the tracker's log
        "clock": clock,
        "accuracy": accuracy,
        "parameters": contestant.count_params(),
    }
    assert footprints[name]["energy_kwh"] > 0, f"{name}: expected an energy above 0 kWh"
    assert footprints[name]["seconds"] <= clock, f"{name}: the tracker claims more time than went by"

# %% nbgrader={"cell_type": "code", "grade": true, "grade_id": "carbon", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false}
# Hidden checks of `carbon` run here when the work is graded:
# other shapes and other values, but the same contract.

# %%
display(Markdown(footprint_table(footprints)))
figure = plot_footprints(footprints)

# %% [markdown] nbgrader={"cell_type": "markdown", "grade": false, "grade_id": "question_14_text", "locked": true, "schema_version": 3, "solution": false, "task": false}
# **Question 14** (2 points). Look at the table above. (a) Which model takes more energy, and by what factor? Was the
# power measured on your machine, or assumed? (b) Explain the factor: by the number of operations, or by how well they
# use the hardware.

# %% [markdown] autograder={"rubric": [{"id": "factor", "points": 0.5, "text": "From an own run: which takes more, and how many times as much. The two energies without the factor, or which takes more without a number: nothing."}, {"id": "source", "points": 0.5, "text": "Whether the power was measured or assumed, as the line below the table says it."}, {"id": "explanation", "points": 1, "text": "One of: the numbers of multiplications (or parameters, and how often each is used) of the two, at least as more against fewer; or that many small operations leave the hardware idle. It must fit the factor named and the models of the run (in the quick profile the ViT has fewer parameters and multiplications)."}]} nbgrader={"cell_type": "markdown", "grade": true, "grade_id": "question_14", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# ### BEGIN SOLUTION
# (a) (Use the numbers of your own run.) On a GPU, 30 epochs of the full profile's small ViT took one student some 90 s,
# 0.0021 kWh and 0.085 g CO₂eq, for an accuracy of 39 %. There, power and time are measured. On a machine without a
# power meter the power is assumed, so that energies differ as times do, and their factor is the factor of the times.
# PUE and carbon intensity are averages, so the grams are an estimate in any case.
#
# (b) Energy is mean power times time, so look at operations and at how well they use the hardware. The full profile's
# small ViT takes 82 million multiplications for an image, the CNN 11 million: our heads are as wide as a token, so
# there are many weights, and each is used once for each token. The CNN has 356,810 parameters and shares few weights
# over all positions. On a GPU the ViT's large matrix products run efficiently, so its time grows less than its
# operations. The other way round, the quick profile's ViT takes only 2.8 million multiplications; if it takes longer
# than the CNN all the same, it is because they are many small products, with a softmax and normalisations in between,
# which leave a processor idle. What the ViT gets for its energy is not accuracy, with so little data: it would pay off
# only with pretraining on a large data set, whose energy would have to be counted, too.
# ### END SOLUTION

# %% [markdown]
# ## 12. A pretrained Vision Transformer
#
# Training from scratch on 7,500 images is not what the ViT was made for. The authors of the paper trained theirs on
# ImageNet-21k (14 million images) and then fine-tuned it on ImageNet-1k (1.3 million images, 1000 classes). The package
# [transformers](https://huggingface.co/docs/transformers) loads such a model with one call. You know its architecture,
# ViT-Base: 12 layers, 12 heads, 768 features, patches of 16 by 16 pixels, hence 196 patches for an image of 224 by 224
# pixels, and the class token. Its layers are pre-norm.
#
# The first time, 346 MB are downloaded. Without a network (and if the model is not in this machine's cache), the cell
# says what to download and goes on with a tiny model that was never trained: everything works in the same way, but its
# labels mean nothing.
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
# *Hints.* Call the processor with `images=image, return_tensors="tf"`; it returns a dictionary, which you pass to the
# model as keyword arguments. The model's output has a field `logits`. `model.config.id2label` maps the number of a
# class to its name.

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
# Now try pictures of your own: put them beside the notebook and list their names. What does the model say of a drawing,
# of an object from behind, of something that is none of its 1000 classes?

# %%
for name in ("flower",):  # or "my_picture.jpg", ...
    picture = load_photo(name)
    figure = plot_predicted_labels(picture, classify_image(picture, processor, pretrained))

# %% [markdown]
# ## 13. Optional: summarising text with T5
#
# This section has no points. The transformer was invented for text, and the same package has models for it. T5 (Raffel
# et al., 2020) is an encoder–decoder: an encoder like yours reads the text, and a decoder writes the answer word by
# word, attending to the encoder's outputs (cross-attention: queries from the decoder, keys and values from the encoder)
# and to what it has written so far. The text itself says what to do: "summarize: …".
#
# Put in texts of your own, and try other tasks that T5 was trained for, such as "translate English to German: …".
# (Offline, a tiny untrained model answers with nonsense.)

# %%
tokenizer, summariser = load_summariser()
summary = (
    "summarize: Convolutional networks have long been the standard in computer vision. A Vision "
    "Transformer cuts an image into patches, treats the patches like the words of a sentence, and "
    "lets every patch attend to every other one. It has hardly any built-in knowledge about images "
    "and therefore needs more data than a convolutional network. With enough data it is at least as "
    "accurate, and the same network can learn from text and sound."
)
translation = "translate English to German: The small model learns from few images."
for text in (summary, translation):  # add your own
    words = tokenizer(text, return_tensors="tf", truncation=True, max_length=512).input_ids
    answer = summariser.generate(words, max_new_tokens=60)
    print(tokenizer.decode(answer[0], skip_special_tokens=True), end="\n\n")

# %% [markdown]
# ## 14. Optional: experiments
#
# This section has no points either. Seven small experiments show why each part of the model is there, most of them with
# *your* layers. Each takes seconds and stands alone (but the last goes on from the fifth); each cell ends in one figure.
# Before you run it, guess what it will show.
#
# The code of the trainings and plots is in `experiments.py`, which is given. Images come at 16 by 16 pixels, which makes
# 16 patches, and training is counted in steps (batches of 32), so that few images get as many steps as many.

# %%
import experiments

training, test = (experiments.smaller(Xtrain), Ytrain), (experiments.smaller(Xtest), Ytest)
steps = 300 if profile == "quick" else 1500  # CIFAR-10 is harder

# %% [markdown]
# ### Experiment 1: where do heads look?
#
# The class token's row of the attention weights, laid over the image: each head of the last layer, and the **rollout**
# of all layers (Abnar and Zuidema, 2020). The rollout averages the heads, adds the identity for the residual connection,
# and multiplies the layers' matrices: it follows attention from the last layer back to the patches. First your own model
# of section 10. The number above a map says how bright its brightest patch is; 1 × the mean: all patches get the same.
#
# *Look for:* the heads differ: one gives nearly all to a patch or two, another spreads it. Over many images, the rollout
# gives patches with ink more than their share; how is it in this one?

# %%
from utilities import attention_of_layers

seen = Xval[0] / 2 + 0.5
attentions = [weights[0] for weights in attention_of_layers(inspected, Xval[:1])]
figure = experiments.plot_attention_maps(seen, attentions, "My ViT, trained: class token to patches")

# %% [markdown]
# Now the pretrained model of section 12 and the photograph, as its processor made it. *Look for:* heads that pick out
# the building, its outline or the sky. Offline there is nothing of the kind to see: the tiny stand-in was never
# trained, and all its maps are even, 1.0 × the mean.

# %%
inputs = processor(images=photo, return_tensors="tf")
seen = np.transpose(inputs["pixel_values"][0], (1, 2, 0)) / 2 + 0.5  # (side, side, 3)
attentions = [weights[0].numpy() for weights in pretrained(**inputs, output_attentions=True).attentions]
title = "an untrained stand-in" if len(config.id2label) < 1000 else "pretrained"
figure = experiments.plot_attention_maps(seen, attentions, f"The ViT of section 12 ({title}): class token to patches")

# %% [markdown]
# ### Experiment 2: does it matter where a patch is?
#
# Your ViT is trained twice: as it is, and with its position embeddings held at 0. Both are then tested on whole images,
# and on images whose patches were shuffled.
#
# *Look for:* without positions, shuffling changes nothing at all: the model sees a bag of patches. With positions it is
# much better on whole images, and lost on shuffled ones.

# %%
from utilities import create_vit_classifier

found = experiments.compare_positions(create_vit_classifier, training, test, steps)
figure = experiments.plot_shuffled_patches(test[0][0], found)

# %% [markdown]
# ### Experiment 3: how many images does it take?
#
# Your ViT and the CNN of section 11 are trained on few images, on more, and on all, for the same number of steps. It is
# the paper's figure 4 in small; think of questions 9 and 11.
#
# *Look for:* with few images the CNN is far ahead. With more of them the gap narrows (how much of that is because the CNN
# cannot get above 100 %?). The usual reason: what the CNN has built in, the ViT has to learn from data.

# %%
builders = experiments.vit_and_cnn(create_vit_classifier)
counts, accuracies = experiments.compare_numbers_of_images(builders, training, test, steps=steps - 100)
figure = experiments.plot_numbers_of_images(counts, accuracies)

# %% [markdown]
# ### Experiment 4: warm-up and augmentation
#
# A **warm-up** lets the learning rate rise from 0 in the first steps of training. Here a post-norm model of six layers is
# trained with a high learning rate, at once and after a warm-up.
#
# *Look for:* without the warm-up the loss stays where guessing is to the end; with it the same model learns. The setting is
# chosen to break: shallower models, pre-norm ones and lower rates need no warm-up.

# %%
found = experiments.compare_warm_up(create_vit_classifier, training, test)
figure = experiments.plot_warm_up(found)

# %% [markdown]
# **Augmentation** shifts the training images by up to two pixels, each time in another way (question 12). The model is
# trained on a quarter of the images, and tested on test images as they are, and on shifted ones.
#
# *Look for:* without augmentation the model knows its training images by heart and fails on shifted digits; with it, it
# has partly learned from examples that a shifted digit is the same digit. Nothing is free: after as many steps it may
# do worse on images that are not shifted, since its task was harder.

# %%
few = training[0][: len(training[0]) // 4], training[1][: len(training[0]) // 4]
found = experiments.compare_augmentation(create_vit_classifier, few, test, steps=steps + 100)
figure = experiments.plot_augmentation(found)

# %% [markdown]
# ### Experiment 5: a task that attention solves and a mean cannot
#
# Reverse a sequence of 12 random tokens. The model is an embedding with positions, *one* attention, and a Dense layer. It
# is trained with your `scaled_dot_product_attention`, and with a mean, in which all weights are the same.
#
# *Look for:* attention solves it, and its map says how: each place asks the mirrored one. The mean knows which tokens
# are in the sequence and how often, but not where, so its best guess is the most frequent one.

# %%
from utilities import scaled_dot_product_attention


def mean_of_values(q, k, v):
    scores = 0 * tf.matmul(q, k, transpose_b=True)  # (batch, queries, keys): all scores are the same
    weights = tf.nn.softmax(scores)
    return tf.matmul(weights, v), weights


with_attention = experiments.train_reversal(scaled_dot_product_attention)
with_mean = experiments.train_reversal(mean_of_values)
figure = experiments.plot_reversal({"attention": with_attention, "mean": with_mean})

# %% [markdown]
# ### Experiment 6: pre-norm and post-norm at twelve layers
#
# What reaches the first of twelve layers of the loss's gradient, before any training? On the left, all ways through the
# sublayers are closed, so that what is left came around them, along the residual connections (question 6). On the right,
# all ways are open.
#
# *Look for:* around the sublayers, pre-norm carries the gradient to the first layer as it is, post-norm loses nearly all
# of it on the way, since each normalisation makes it smaller. By all ways together it vanishes in neither: in post-norm,
# the first layers hear of the loss through the sublayers alone, which at first are random.

# %%
from utilities import MultiHeadAttention, mlp


def post_norm(x, sublayer):
    return keras.layers.LayerNormalization()(x + sublayer(x))


def pre_norm(x, sublayer):
    return x + sublayer(keras.layers.LayerNormalization()(x))


found = {
    "post-norm": experiments.gradients_by_layer(post_norm, MultiHeadAttention, mlp),
    "pre-norm": experiments.gradients_by_layer(pre_norm, MultiHeadAttention, mlp),
}
figure = experiments.plot_gradients(found)

# %% [markdown]
# ### Experiment 7: what does a mask do?
#
# A model that writes text, such as the decoder of T5, must not look at words that it has not written yet. A **causal
# mask** sees to that: the scores of later keys become $-\infty$ (here $-10^9$) *before* the softmax, so their weights
# are 0 and the others still sum to 1. A ViT needs no mask. Here is the task of experiment 5 again, with and without one.
#
# *Look for:* the map is empty where the key comes after the query. The second half of the answer is as right as before,
# since it depends on earlier tokens; the first half would need later ones, and is guessed, wherever those places look.

# %%
def causal_attention(q, k, v):
    scores = tf.matmul(q, k, transpose_b=True) / q.shape[-1] ** 0.5  # (batch, queries, keys)
    allowed = tf.linalg.band_part(tf.ones_like(scores), -1, 0) > 0  # keys up to the query's own place
    weights = tf.nn.softmax(tf.where(allowed, scores, -1e9))
    return tf.matmul(weights, v), weights


with_mask = experiments.train_reversal(causal_attention)
figure = experiments.plot_reversal({"attention": with_attention, "attention with a causal mask": with_mask})
