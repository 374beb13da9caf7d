"""Small, quick stand-ins for what slow given cells and earlier answers of the notebook make.

An answer that uses such a name gets it from here, where the student's own answers above it do not define it. The data
are noise: whoever learns from them learns nothing about an answer.
"""

import numpy as np
from lab_tools import load_photo, load_pretrained_vit, save_tiny_vit
from utilities import create_vit_classifier

Xtrain, Xval, Xtest = (np.random.default_rng(n).uniform(-1, 1, (n, 32, 32, 3)).astype("float32") for n in (90, 30, 20))
Ytrain, Yval, Ytest = (np.arange(n) % 10 for n in (90, 30, 20))
model_params = dict(small_model_params)
vit = model = inspected = create_vit_classifier(**small_model_params)
history = keras.callbacks.History()
best_accuracy = validation_accuracy = 0.1
processor, pretrained = load_pretrained_vit(save_tiny_vit("tiny_vit"))
config = pretrained.config
photo = load_photo("china")
predictions = [("a temple", 0.5)]
contestants, footprints = {}, {}
