"""Trains a network in Keras from given weights on given batches. Argument: a folder with job.json and raw floats.

Writes the weights after the first step; prints the loss of every step.
"""
import json
import sys

import keras
import numpy as np

from keras_networks import named_weights, siamese

work = sys.argv[1]
job = json.load(open(f"{work}/job.json"))
side, batch = job["side"], job["batch"]
model, embedding = siamese(job["network"], side)
weights = dict(named_weights(model, embedding))
assert set(weights) == set(job["weights"]), set(weights) ^ set(job["weights"])
for name, variable in weights.items():
    variable.assign(np.fromfile(f"{work}/{name.replace('/', '.')}.bin", np.float32).reshape(variable.shape))

rate, settings = job["learningRate"], job["optimizer"]
if settings["name"] == "adam":
    optimizer = keras.optimizers.Adam(rate)
else:
    decay = settings["weightDecay"]
    optimizer = keras.optimizers.SGD(rate, momentum=settings["momentum"], nesterov=settings["nesterov"], weight_decay=decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha"])
model.compile(optimizer, "binary_crossentropy")


def floats(name, shape):
    return np.fromfile(f"{work}/{name}.bin", np.float32).reshape(shape)


losses = []
for step in range(job["steps"]):
    shape = (batch, side, side, 3)
    model.reset_metrics()
    pair = [floats(f"left{step}", shape), floats(f"right{step}", shape)]
    losses.append(float(model.train_on_batch(pair, floats(f"same{step}", (batch, 1)))))
    if step == 0:
        for name, variable in weights.items():
            np.asarray(variable, np.float32).tofile(f"{work}/{name.replace('/', '.')}.after.bin")
print(json.dumps({"losses": losses, "keras": keras.__version__}))
