"""Another product's pipeline for bench/peers-photos.ts: arguments opencv or openvino and the two files, or dlib; paths on standard input.

Prints one line for each photograph: the embedding of the face nearest the middle as a list, null where none is found. The last
line is {"cpuMs": ..., "wallMs": ..., "peakMegabytes": ..., "version": ...}; the first photograph is not counted.
"""
import contextlib
import json
import math
import os
import resource
import sys
import tempfile
import time

import numpy as np

# Lowest score of a face.
THRESHOLD = 0.6


@contextlib.contextmanager
def readable(path, dequantized=False):
    """The file without inputs that its network does not read, which OpenCV refuses; otherwise as it is.

    OpenVINO refuses biases whose blocks are longer than their scales say, so that it gets all weights as floats.
    """
    import onnx
    from onnx import numpy_helper, reference

    model = onnx.load(path)
    graph = model.graph
    stored = {each.name: each for each in graph.initializer}
    for node in list(graph.node) if dequantized else []:
        if node.op_type == "DequantizeLinear":
            inputs = {name: numpy_helper.to_array(stored[name]) for name in node.input}
            [value] = reference.ReferenceEvaluator(node).run(None, inputs)
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
            graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    inputs = [each for each in graph.input if each.name in read and each.name not in stored]
    del graph.input[:]
    graph.input.extend(inputs)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "network.onnx")
        onnx.save(model, path)
        yield path


def nearest_the_middle(faces, image):
    height, width = image.shape[:2]
    middle = (width / 2, height / 2)
    return min(faces, key=lambda f: math.dist((f[0] + f[2] / 2, f[1] + f[3] / 2), middle))


def opencv(threads, detector, embedding):
    import cv2

    cv2.setNumThreads(threads)
    find = cv2.FaceDetectorYN.create(detector, "", (250, 250), THRESHOLD)
    with readable(embedding) as path:
        embed = cv2.FaceRecognizerSF.create(path, "")

    def run(path):
        image = cv2.imread(path)
        height, width = image.shape[:2]
        find.setInputSize((width, height))
        _, faces = find.detect(image)
        if faces is None:
            return None
        return embed.feature(embed.alignCrop(image, nearest_the_middle(faces, image)))[0]

    return run, f"OpenCV {cv2.__version__}"


def openvino(threads, detector, embedding):
    """The steps of OpenCV's pipeline with both networks in OpenVINO: OpenCV decodes, suppresses overlaps and crops."""
    # It reports to its maker over the network where this package is found.
    sys.modules["openvino_telemetry"] = None
    import cv2
    import openvino as ov

    cv2.setNumThreads(threads)
    core = ov.Core()
    # Left out, it would compute in bfloat16 wherever the processor can.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}

    def opened(file, shape):
        with readable(file, dequantized=True) as path:
            model = core.read_model(path)
            model.reshape(shape)
            return core.compile_model(model, "CPU", settings).create_infer_request()

    find = opened(detector, [1, 3, 256, 256])
    embed = opened(embedding, [1, 3, 112, 112])
    with readable(embedding) as path:
        crops = cv2.FaceRecognizerSF.create(path, "")

    def faces_of(image):
        height, width = image.shape[:2]
        padded = cv2.copyMakeBorder(image, 0, 256 - height, 0, 256 - width, cv2.BORDER_CONSTANT)
        find.infer([padded.transpose(2, 0, 1)[np.newaxis].astype(np.float32)])
        rows = []
        for stride in (8, 16, 32):
            cls, obj, box, points = (find.get_tensor(f"{kind}_{stride}").data[0] for kind in ("cls", "obj", "bbox", "kps"))
            score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
            for cell in np.flatnonzero(score >= THRESHOLD):
                place = np.array([cell % (256 // stride), cell // (256 // stride)])
                size = np.exp(box[cell, 2:]) * stride
                corner = (place + box[cell, :2]) * stride - size / 2
                marks = (points[cell].reshape(5, 2) + place) * stride
                rows.append(np.concatenate([corner, size, marks.ravel(), score[cell : cell + 1]]))
        kept = cv2.dnn.NMSBoxes([row[:4].tolist() for row in rows], [float(row[14]) for row in rows], THRESHOLD, 0.3)
        return [rows[i] for i in kept]

    def run(path):
        image = cv2.imread(path)
        faces = faces_of(image)
        if not faces:
            return None
        crop = crops.alignCrop(image, nearest_the_middle(faces, image).astype(np.float32))
        embed.infer([crop[:, :, ::-1].transpose(2, 0, 1)[np.newaxis].astype(np.float32)])
        return embed.get_output_tensor(0).data[0].copy()

    return run, f"OpenVINO {ov.__version__.split('-')[0]}"


def dlib_pipeline(_threads):
    import dlib
    import face_recognition_models as files

    find = dlib.get_frontal_face_detector()
    points = dlib.shape_predictor(files.pose_predictor_five_point_model_location())
    embed = dlib.face_recognition_model_v1(files.face_recognition_model_location())

    def run(path):
        image = dlib.load_rgb_image(path)
        faces = find(image, 1)
        if not faces:
            return None
        height, width = image.shape[:2]
        middle = (width / 2, height / 2)
        face = min(faces, key=lambda f: math.dist((f.center().x, f.center().y), middle))
        return np.array(embed.compute_face_descriptor(image, points(image, face)))

    return run, f"dlib {dlib.__version__}"


PIPELINES = {"opencv": opencv, "openvino": openvino, "dlib": dlib_pipeline}
name, *files = sys.argv[1:]
run, version = PIPELINES[name](int(os.environ.get("OMP_NUM_THREADS", "1")), *files)
started = None
for line in sys.stdin:
    embedding = run(line.strip())
    print(json.dumps(None if embedding is None else [float(x) for x in embedding]), flush=True)
    if started is None:
        started = (time.process_time(), time.perf_counter())
cpu_ms = 1000 * (time.process_time() - started[0])
wall_ms = 1000 * (time.perf_counter() - started[1])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"cpuMs": cpu_ms, "wallMs": wall_ms, "peakMegabytes": peak, "version": version}))
