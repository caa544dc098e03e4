"""Trains networks in Keras from given weights on given batches. Arguments: folders with job.json and raw floats.

Writes the weights after the first step; prints the loss of every step of every job. The batches take turns.
"""
import json
import sys

import keras
import numpy as np

from keras_networks import named_weights, siamese


def floats(work, name, shape):
    return np.fromfile(f"{work}/{name.replace('/', '.')}.bin", np.float32).reshape(shape)


def optimizer_of(job):
    rate, settings = job["learningRate"], job["optimizer"]
    if settings["name"] == "adam":
        return keras.optimizers.Adam(rate)
    if settings["name"] == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=job["weightDecay"])
    else:
        momentum = {name: settings[name] for name in ("momentum", "nesterov")}
        optimizer = keras.optimizers.SGD(rate, **momentum, weight_decay=job["weightDecay"])
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "alpha"])
    return optimizer


def train(work):
    job = json.load(open(f"{work}/job.json"))
    side, batch = job["side"], job["batch"]
    keras.backend.clear_session()
    model, embedding = siamese(job["network"], side)
    weights = dict(named_weights(model, embedding))
    assert set(weights) == set(job["weights"]), set(weights) ^ set(job["weights"])
    for name, variable in weights.items():
        variable.assign(floats(work, name, variable.shape))
    model.compile(optimizer_of(job), "binary_crossentropy")
    shape = (batch, side, side, 3)
    batches = [
        ([floats(work, f"left{i}", shape), floats(work, f"right{i}", shape)], floats(work, f"same{i}", (batch, 1)))
        for i in range(job["batches"])
    ]
    losses = []
    for step in range(job["steps"]):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(*batches[step % len(batches)])))
        if step == 0:
            for name, variable in weights.items():
                np.asarray(variable, np.float32).tofile(f"{work}/{name.replace('/', '.')}.after.bin")
    return losses


print(json.dumps({"losses": [train(work) for work in sys.argv[1:]], "keras": keras.__version__}))
