"""Searches by face_recognition for bench/linear-search.ts: arguments a folder with `enrolled` and `probes` (float32), and their width.

Prints {"list": milliseconds of each search in a list of encodings, as the package's examples have them, "array": in one array,
"nearest": numbers of the nearest, "version": ...}.
"""
import json
import os
import sys
import time
from importlib.metadata import version

import face_recognition
import numpy as np

folder, width = sys.argv[1], int(sys.argv[2])


def read(name):
    # Its encodings are float64.
    return np.fromfile(os.path.join(folder, name), np.float32).reshape(-1, width).astype(np.float64)


enrolled, probes = read("enrolled"), read("probes")


def times(known):
    taken = []
    for probe in probes:
        start = time.perf_counter()
        face_recognition.compare_faces(known, probe)
        taken.append(1000 * (time.perf_counter() - start))
    return taken


nearest = [int(np.argmin(face_recognition.face_distance(enrolled, probe))) for probe in probes]
print(
    json.dumps(
        {
            "list": times(list(enrolled)),
            "array": times(enrolled),
            "nearest": nearest,
            "version": f"face_recognition {version('face_recognition')} on NumPy {np.__version__}",
        }
    )
)
