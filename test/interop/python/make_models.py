"""Builds SavedModels of every kind with TensorFlow and Keras, and records what TensorFlow answers.

Arguments: a folder to fill, and the names of the models (all when none is given). Each model becomes <name>/1 with
<name>/cases.json: a list of {signature, inputs, outputs}, where inputs and outputs map aliases to {shape, dtype, file}.
"""
import json
import os
import sys

import keras
import numpy as np
import tensorflow as tf

from imported_keras_models import KERAS_MODELS
from imported_layers import PREPROCESSING_MODELS, RECURRENT_MODELS
from imported_operations import OPERATION_MODELS
from imported_toy_models import TOY_MODELS

BUILDERS = {**TOY_MODELS, **OPERATION_MODELS, **KERAS_MODELS, **RECURRENT_MODELS, **PREPROCESSING_MODELS}


class Recorder:
    """Writes one model's folder and the cases that it shall answer."""

    def __init__(self, folder):
        self.folder = folder
        self.version = f"{folder}/1"
        self.cases = []
        os.makedirs(folder, exist_ok=True)

    def _store(self, kind, values):
        described = {}
        for alias, value in values.items():
            value = np.asarray(value)
            if value.dtype.kind in "SO":
                texts = [text.decode() for text in value.flatten().tolist()]
                described[alias] = {"shape": list(value.shape), "dtype": "string", "values": texts}
                continue
            file = f"case{len(self.cases)}.{kind}.{alias}.bin"
            stored = value.astype(np.float64) if value.dtype == np.int64 else value
            np.ascontiguousarray(stored).tofile(f"{self.folder}/{file}")
            described[alias] = {"shape": list(value.shape), "dtype": str(value.dtype), "file": file}
        return described

    def case(self, signature, inputs, outputs):
        case = {"signature": signature, "inputs": self._store("in", inputs), "outputs": self._store("out", outputs)}
        self.cases.append(case)

    def close(self):
        with open(f"{self.folder}/cases.json", "w") as file:
            json.dump(self.cases, file)


work, *wanted = sys.argv[1:]
made = {}
for name in wanted or BUILDERS:
    tf.random.set_seed(7)
    keras.utils.set_random_seed(7)
    recorder = Recorder(f"{work}/{name}")
    BUILDERS[name](recorder)
    recorder.close()
    made[name] = len(recorder.cases)
print(json.dumps({"models": made, "tensorflow": tf.__version__, "keras": keras.__version__}))
