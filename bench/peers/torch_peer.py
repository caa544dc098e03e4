"""PyTorch as a peer of bench/peers.ts: argument a job in JSON; times one run per line it reads.

The same networks, loss, optimiser and kind of data as ours, channels last, which is its fastest order on processors.
"""
import json
import sys

import torch
from torch import nn
from torch.nn import functional as F

from timed_runs import answer

job = json.loads(sys.argv[1])
torch.set_num_threads(job["threads"])
torch.manual_seed(1)
batch, side = job["batch"], 112


class Same(nn.Module):
    """A convolution padded as TensorFlow's "same": what an even image lacks goes to the right and the bottom."""

    def __init__(self, channels, filters, kernel, stride=1, groups=1, bias=True):
        super().__init__()
        self.pad = [(kernel - stride) // 2, (kernel - stride + 1) // 2] * 2 if stride > 1 else None
        padding = 0 if stride > 1 else kernel // 2
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding, groups=groups, bias=bias)

    def forward(self, x):
        return self.conv(x if self.pad is None else F.pad(x, self.pad))


def faceid():
    def conv(channels, filters, kernel):
        return [Same(channels, filters, kernel), nn.ReLU()]

    return nn.Sequential(
        *conv(3, 64, 5), nn.MaxPool2d(2), nn.BatchNorm2d(64),
        *conv(64, 64, 1), *conv(64, 96, 3), nn.MaxPool2d(2), nn.BatchNorm2d(96),
        *conv(96, 96, 1), *conv(96, 128, 3), nn.MaxPool2d(2),
        *conv(128, 128, 1), *conv(128, 256, 3), *conv(256, 256, 1), *conv(256, 128, 3),
        *conv(128, 128, 1), *conv(128, 64, 3), nn.MaxPool2d(2),
        *conv(64, 64, 1), *conv(64, 64, 3), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 3 * 3, 1024), nn.ReLU(),
    ), 1024


class Block(nn.Module):
    def __init__(self, channels, expand, filters, stride):
        super().__init__()
        wide = channels * expand
        self.is_residual = stride == 1 and channels == filters
        self.layers = nn.Sequential(
            *activated(channels, wide, 1), *activated(wide, wide, 3, stride, wide),
            Same(wide, filters, 1, bias=False), nn.BatchNorm2d(filters),
        )

    def forward(self, x):
        return x + self.layers(x) if self.is_residual else self.layers(x)


def activated(channels, filters, kernel, stride=1, groups=1):
    return [Same(channels, filters, kernel, stride, groups, bias=False), nn.BatchNorm2d(filters), nn.PReLU(filters)]


def mobilefacenet():
    layers = [*activated(3, 64, 3, 2), *activated(64, 64, 3, 1, 64)]
    channels = 64
    for expand, filters, repeat, stride in [(2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1)]:
        for i in range(repeat):
            layers.append(Block(channels, expand, filters, stride if i == 0 else 1))
            channels = filters
    return nn.Sequential(
        *layers, *activated(128, 512, 1), nn.Conv2d(512, 512, 7, groups=512, bias=False), nn.BatchNorm2d(512),
        nn.Conv2d(512, 128, 1, bias=False), nn.BatchNorm2d(128), nn.Flatten(),
    ), 128


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower, width = {"faceid": faceid, "mobilefacenet": mobilefacenet}[job["network"]]()
        self.head = nn.Sequential(nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 1))
        self.is_centred = job["network"] == "mobilefacenet"

    def embed(self, image):
        return self.tower(2 * image - 1 if self.is_centred else image)

    def forward(self, left, right):
        return self.head((self.embed(left) - self.embed(right)).abs())


model = Siamese().to(memory_format=torch.channels_last)
left, right = (torch.rand(batch, 3, side, side).to(memory_format=torch.channels_last) for _ in range(2))
same = (torch.arange(batch) % 2).float().reshape(batch, 1)


def training():
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, eps=1e-7)

    def step():
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(left, right), same)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def inference():
    frozen = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model.eval(), (left, right))))

    def run():
        with torch.inference_mode():
            return torch.sigmoid(frozen(left, right)).numpy()

    return run


answer({"training": training, "inference": inference}[job["work"]](), f"PyTorch {torch.__version__.split('+')[0]}, float32")
