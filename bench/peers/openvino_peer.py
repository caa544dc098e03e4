"""OpenVINO as a peer of bench/peers.ts: argument a job in JSON; times one run per line it reads.

It runs the SavedModel that ours exports, in float32, in bfloat16 or, quantised by NNCF, in 8-bit integers. A batch is shared
among as many requests as there are threads, a pair alone has all threads: the fastest way of either.
"""
import json
import sys

# Both report to their maker over the network where this package is found.
sys.modules["openvino_telemetry"] = None

import numpy as np
import openvino as ov

from timed_runs import answer

job = json.loads(sys.argv[1])
SIDE = 112
random = np.random.default_rng(2)
model = ov.convert_model(job["model"])
names = [port.any_name for port in model.inputs]


def images(count):
    return {name: random.random((count, SIDE, SIDE, 3), np.float32) for name in names}


version = f"OpenVINO {ov.__version__.split('-')[0]}, {job['precision']}"
if job["precision"] == "int8":
    import nncf

    model = nncf.quantize(model, nncf.Dataset([images(1) for _ in range(16)]), subset_size=16)
    version = f"{version} (NNCF {nncf.__version__})"
requests = min(job["batch"], job["threads"])
compiled = ov.Core().compile_model(
    model,
    "CPU",
    {
        # Left out, it would compute in bfloat16 wherever the processor can.
        "INFERENCE_PRECISION_HINT": "bf16" if job["precision"] == "bfloat16" else "f32",
        "INFERENCE_NUM_THREADS": job["threads"],
        "NUM_STREAMS": requests,
        "PERFORMANCE_HINT": "LATENCY" if requests == 1 else "THROUGHPUT",
    },
)
queue = [compiled.create_infer_request() for _ in range(requests)]
share = images(job["batch"] // requests)


def run():
    for request in queue:
        request.start_async(share)
    for request in queue:
        request.wait()


answer(run, version)
