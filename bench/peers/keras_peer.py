"""Keras on TensorFlow as a peer of bench/peers.ts: argument a job in JSON; times one run per line it reads.

The same networks, loss, optimiser and kind of data as ours, and as many threads. With "precision": "bfloat16" its mixed
precision: products in bfloat16, weights in float32.
"""
import json
import pathlib
import sys

job = json.loads(sys.argv[1])
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "test/interop/python"))

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_networks import siamese
from timed_runs import answer

tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
tf.config.threading.set_inter_op_parallelism_threads(job["threads"])
keras.utils.set_random_seed(1)
mixed = job["precision"] == "bfloat16"
if mixed:
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
batch, side = job["batch"], 112
model, _ = siamese(job["network"], side)
random = np.random.default_rng(2)
left, right = (random.random((batch, side, side, 3), np.float32) for _ in range(2))
same = (np.arange(batch) % 2).astype(np.float32).reshape(batch, 1)


def training():
    model.compile(keras.optimizers.Adam(1e-4), "binary_crossentropy")
    return lambda: float(model.train_on_batch([left, right], same))


def inference():
    """The frozen graph, as a SavedModel is served: constants folded, batch normalisations in the kernels."""
    signature = [tf.TensorSpec((None, side, side, 3))] * 2
    function = tf.function(lambda a, b: model([a, b], training=False), input_signature=signature)
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    return lambda: tf.cast(frozen(tf.constant(left), tf.constant(right))[0], tf.float32).numpy()


run = {"training": training, "inference": inference}[job["work"]]()
precision = "mixed bfloat16" if mixed else "float32"
answer(run, f"Keras {keras.__version__} on TensorFlow {tf.__version__}, {precision}")
