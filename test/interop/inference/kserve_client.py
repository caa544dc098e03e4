"""Asks a server by KServe's published client: `kserve_client.py REST GRPC MODEL` prints what it answered as JSON."""
import asyncio
import json
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

rest, grpc, model = sys.argv[1:4]
base = "http://" + rest


def listed():
    tensor = InferInput(name="x", shape=[2, 1], datatype="FP32", data=[1.0, 2.0])
    return InferRequest(model_name=model, request_id="9", infer_inputs=[tensor])


def raw():
    tensor = InferInput(name="x", shape=[2, 1], datatype="FP32")
    tensor.set_data_from_numpy(np.array([[1.0], [2.0]], dtype=np.float32), binary_data=True)
    return InferRequest(model_name=model, request_id="9", infer_inputs=[tensor])


def told(answer):
    return [answer.id, answer.outputs[0].as_numpy().tolist()]


async def main():
    http = InferenceRESTClient(RESTConfig(protocol="v2"))
    rpc = InferenceGRPCClient(grpc)
    return {
        "http": {
            "ready": [
                await http.is_server_live(base),
                await http.is_server_ready(base),
                await http.is_model_ready(base, model),
            ],
            "infer": [told(await http.infer(base, make(), model_name=model)) for make in (listed, raw)],
        },
        "grpc": {
            "ready": [await rpc.is_server_live(), await rpc.is_server_ready(), await rpc.is_model_ready(model)],
            "infer": [told(await rpc.infer(make())) for make in (listed, raw)],
        },
    }


print(json.dumps(asyncio.run(main())))
