"""How far Keras is from itself: derivatives in float32 beside float64, and the losses of training in both.

Argument: a folder that the training test made (it prints them). The test does not run this; docs/notes/keras-parity.md quotes it.
"""
import json
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_networks import named_weights, siamese

work = sys.argv[1]
job = json.load(open(f"{work}/job.json"))
side, batch = job["side"], job["batch"]
shape = (batch, side, side, 3)


def floats(name, sides):
    return np.fromfile(f"{work}/{name.replace('/', '.')}.bin", np.float32).reshape(sides).astype(keras.config.floatx())


def network():
    keras.backend.clear_session()
    model, embedding = siamese(job["network"], side)
    weights = dict(named_weights(model, embedding))
    for name, variable in weights.items():
        variable.assign(floats(name, variable.shape))
    return model, weights


def data(i):
    return [floats(f"left{i}", shape), floats(f"right{i}", shape)], floats(f"same{i}", (batch, 1))


def derivatives(slope):
    model, weights = network()
    for name, variable in weights.items():
        if slope is not None and name.endswith("/alpha"):
            variable.assign(np.full(variable.shape, slope))
    names = [name for name, variable in weights.items() if variable.trainable]
    images, same = data(0)
    with tf.GradientTape() as tape:
        loss = keras.ops.mean(keras.losses.binary_crossentropy(same, model(images, training=True)))
    return dict(zip(names, [g.numpy() for g in tape.gradient(loss, [weights[name].value for name in names])]))


def losses(rate):
    model, _ = network()
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
    values = []
    for step in range(10):
        model.reset_metrics()
        values.append(float(model.train_on_batch(*data(step % job["batches"]))))
    return np.array(values)


def in_both(work_):
    results = []
    for kind in ("float32", "float64"):
        keras.config.set_floatx(kind)
        results.append(work_())
    return results


def report(title, slope):
    single, double = in_both(lambda: derivatives(slope))
    far = {n: np.abs(single[n] - double[n]).max() / np.abs(double[n]).max() for n in double if n.endswith("kernel")}
    worst = max(far, key=far.get)
    print(f"{title}: derivatives of kernels in float32, relative to float64: worst {far[worst]:.1e} ({worst}), median {np.median(list(far.values())):.1e}")


report(job["network"], None)
if any(name.endswith("/alpha") for name in job["weights"]):
    for slope in (0.25, 0.99, 1.0):
        report(f"{job['network']} with slopes of {slope}", slope)
for rate in (1e-4, 1e-5):
    single, double = in_both(lambda: losses(rate))
    print(f"Adam at {rate}: losses of ten steps in float32, relative to float64:", " ".join(f"{x:.0e}" for x in np.abs(single / double - 1)))
