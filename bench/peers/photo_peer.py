"""Another product's pipeline for bench/peers-photos.ts: arguments OpenCV's two files or none for dlib; paths on standard input.

Prints one line for each photograph: the embedding of the face nearest the middle as a list, null where none is found. The last
line is {"cpuMs": ..., "wallMs": ..., "peakMegabytes": ..., "version": ...}; the first photograph is not counted.
"""
import json
import math
import os
import resource
import shutil
import sys
import tempfile
import time

import numpy as np


def opencv(threads, detector, embedding):
    import cv2
    import onnx

    # OpenCV refuses the stale inputs of the file; otherwise the file stays as it is.
    model = onnx.load(embedding)
    inputs = [each for each in model.graph.input if each.name == "data"]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    embedding = os.path.join(tempfile.mkdtemp(), "embedding.onnx")
    onnx.save(model, embedding)

    cv2.setNumThreads(threads)
    find = cv2.FaceDetectorYN.create(detector, "", (250, 250), 0.6)
    embed = cv2.FaceRecognizerSF.create(embedding, "")
    shutil.rmtree(os.path.dirname(embedding))

    def run(path):
        image = cv2.imread(path)
        height, width = image.shape[:2]
        find.setInputSize((width, height))
        _, faces = find.detect(image)
        if faces is None:
            return None
        middle = (width / 2, height / 2)
        face = min(faces, key=lambda f: math.dist((f[0] + f[2] / 2, f[1] + f[3] / 2), middle))
        return embed.feature(embed.alignCrop(image, face))[0]

    return run, f"OpenCV {cv2.__version__}"


def dlib_pipeline():
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


run, version = dlib_pipeline() if len(sys.argv) == 1 else opencv(int(os.environ.get("OMP_NUM_THREADS", "1")), *sys.argv[1:])
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
