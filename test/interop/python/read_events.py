"""Reads event files with TensorBoard's own reader and prints every scalar: read_events.py FOLDER"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util


def scalars(folder):
    accumulator = EventAccumulator(folder, size_guidance={"tensors": 0, "scalars": 0})
    accumulator.Reload()
    tags = accumulator.Tags()
    by_tag = {
        tag: [[event.step, event.wall_time, event.value] for event in accumulator.Scalars(tag)]
        for tag in tags["scalars"]
    }
    for tag in tags["tensors"]:
        by_tag[tag] = [
            [event.step, event.wall_time, float(tensor_util.make_ndarray(event.tensor_proto))]
            for event in accumulator.Tensors(tag)
        ]
    return by_tag


print(json.dumps(scalars(sys.argv[1])))
