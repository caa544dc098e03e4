"""Checks ONNX files and runs them. Argument: a JSON file with a list of jobs.

A job names the file and a folder with one <number>.bin of raw floats for each of the model's inputs, in the given order,
whose shapes are given too. Outputs are written there as out.<number>.bin; their names are printed.
"""
import json
import sys

import numpy as np
import onnx
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
results = []
for job in json.load(open(sys.argv[1])):
    model = onnx.load(job["file"])
    # Shapes are inferred and compared too; operators of a domain that is declared but not known are passed over.
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(job["file"], options, providers=["CPUExecutionProvider"])
    feeds = {name: np.fromfile(f"{job['work']}/{i}.bin", np.float32).reshape(shape) for i, (name, shape) in enumerate(job["inputs"])}
    assert set(feeds) == {value.name for value in session.get_inputs()}, "the file takes other inputs"
    names = [value.name for value in session.get_outputs()]
    for i, value in enumerate(session.run(names, feeds)):
        np.asarray(value, np.float32).tofile(f"{job['work']}/out.{i}.bin")
    results.append({"outputs": names, "domains": {entry.domain: entry.version for entry in model.opset_import}})
print(json.dumps({"results": results, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}))
