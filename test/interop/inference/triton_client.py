"""Asks a server by NVIDIA's published client: `triton_client.py REST GRPC MODEL` prints what it answered as JSON."""
import json
import sys

import numpy as np
import tritonclient.grpc
import tritonclient.http

rest, grpc, model = sys.argv[1:4]
x = np.array([[1.0], [2.0]], dtype=np.float32)


def questions(client, library, **options):
    tensor = library.InferInput("x", [2, 1], "FP32")
    tensor.set_data_from_numpy(x)
    answer = client.infer(model, [tensor], request_id="5", **options)
    refused = None
    try:
        client.infer("none", [tensor])
    except Exception as error:
        refused = str(error)
    client.unload_model(model)
    unloaded = client.is_model_ready(model)
    client.load_model(model)
    return {
        "ready": [client.is_server_live(), client.is_server_ready(), client.is_model_ready(model)],
        "infer": answer.as_numpy("y").tolist(),
        "refused": refused,
        "unloaded": unloaded,
    }


def counts(statistics):
    [version] = statistics["model_stats"]
    names = ["inference_count", "execution_count"]
    stats = version["inference_stats"]
    times = all(int(stats[name]["ns"]) > 0 for name in ["success", "compute_infer"])
    return [*(int(version[name]) for name in names), int(stats["success"]["count"]), times]


http = tritonclient.http.InferenceServerClient(rest)
json_input = tritonclient.http.InferInput("x", [2, 1], "FP32")
json_input.set_data_from_numpy(x, binary_data=False)
json_output = tritonclient.http.InferRequestedOutput("y", binary_data=False)
in_json = http.infer(model, [json_input], outputs=[json_output], request_compression_algorithm="gzip")
rpc = tritonclient.grpc.InferenceServerClient(grpc)
# Before the model is loaded again, which begins its figures anew.
counted = [counts(http.get_inference_statistics(model)), counts(rpc.get_inference_statistics(model, as_json=True))]
print(
    json.dumps(
        {
            "http": questions(http, tritonclient.http),
            "json": in_json.as_numpy("y").tolist(),
            "index": http.get_model_repository_index(),
            "metadata": http.get_model_metadata(model),
            "config": [http.get_model_config(model), rpc.get_model_config(model, as_json=True)["config"]],
            "counts": counted,
            "grpc": questions(rpc, tritonclient.grpc, compression_algorithm="gzip"),
        }
    )
)
