"""Runs signatures of a SavedModel with TensorFlow's loaders. Arguments: the model's folder, a folder with inputs.

inputs.json maps signature -> alias -> shape; the numbers lie in <signature>.<alias>.bin. Outputs are written beside
them, once from each loader, and listed on standard output.
"""
import json
import sys

import numpy as np
import tensorflow as tf

model_folder, work = sys.argv[1:]
signatures = json.load(open(f"{work}/inputs.json"))


def inputs_of(signature):
    shapes = signatures[signature]
    return {a: np.fromfile(f"{work}/{signature}.{a}.bin", np.float32).reshape(s) for a, s in shapes.items()}


outputs = {}
loaded = tf.saved_model.load(model_folder)
for signature in signatures:
    feeds = {alias: tf.constant(value) for alias, value in inputs_of(signature).items()}
    for alias, value in loaded.signatures[signature](**feeds).items():
        value.numpy().astype(np.float32).tofile(f"{work}/{signature}.{alias}.tf2.bin")
        outputs.setdefault(signature, {})[alias] = list(value.shape)

with tf.compat.v1.Session(graph=tf.Graph()) as session:
    meta = tf.compat.v1.saved_model.load(session, ["serve"], model_folder)
    for signature in signatures:
        definition = meta.signature_def[signature]
        feeds = {definition.inputs[alias].name: value for alias, value in inputs_of(signature).items()}
        for alias, info in definition.outputs.items():
            session.run(info.name, feeds).astype(np.float32).tofile(f"{work}/{signature}.{alias}.tf1.bin")

print(json.dumps({"outputs": outputs, "tensorflow": tf.__version__}))
