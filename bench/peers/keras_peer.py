"""Keras on TensorFlow as a peer of bench/peers.ts: argument a job in JSON; times one run per line it reads.

Two threads, the same networks, loss, optimiser and kind of data as ours. Prints {"ms": …, "cpuMs": …} for each run and, at the end
of its input, {"peakMegabytes": …, "version": …}.
"""
import json
import pathlib
import resource
import sys
import time

job = json.loads(sys.argv[1])
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "test/interop/python"))

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from keras_networks import siamese

tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
tf.config.threading.set_inter_op_parallelism_threads(job["threads"])
keras.utils.set_random_seed(1)
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
    return lambda: frozen(tf.constant(left), tf.constant(right))[0].numpy()


run = {"training": training, "inference": inference, "int8": inference}[job["work"]]()  # floats beside our integers
print(json.dumps({"ready": True}), flush=True)
for _ in sys.stdin:
    started, used = time.perf_counter(), time.process_time()
    run()
    ms, cpu_ms = 1000 * (time.perf_counter() - started), 1000 * (time.process_time() - used)
    print(json.dumps({"ms": ms, "cpuMs": cpu_ms}), flush=True)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"peakMegabytes": peak, "version": f"Keras {keras.__version__} on TensorFlow {tf.__version__}"}))
