"""Writes what PyTorch and torchvision compute with the networks of packtrain-worker, as tests/reference/<network>.json, and prints
how many numbers they have.

    python tests/reference/networks.py            (torch 2.11, torchvision 0.26, safetensors)

Weights and images are filled by a formula that the tests repeat, so that only the results need keeping: a number for each tensor.
All is computed in double precision. In single precision, gradients of networks as deep and batches as small as these have two
or three digits: the rounding moves some of so many ReLUs.
"""
import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))
from packtrain_networks import AlexNet, DeeperGoogLeNet, MiniGoogLeNet, Rule  # noqa: E402


def noise(name, shape):
    """Numbers in [-1, 1), of single precision, that depend on the name and the place alone."""
    phase = 2166136261
    for byte in name.encode():
        phase = (phase ^ byte) * 16777619 % 2**32
    h = (np.arange(math.prod(shape), dtype=np.uint64) * 2654435761 + phase) % 2**32
    h ^= h >> 16
    h = h * 0x85EBCA6B % 2**32
    h ^= h >> 13
    return torch.from_numpy((h / 2**31 - 1.0).astype(np.float32)).reshape(shape)


def fill(name, shape):
    u = noise(name, shape)
    if name.endswith("running_mean") or name.endswith("bias"):
        return 0.1 * u
    if name.endswith("running_var"):
        return 1 + 0.5 * u
    if len(shape) == 1:
        return 1 + 0.2 * u
    return u * math.sqrt(6 / math.prod(shape[1:]))


RELU, RELU_NORM = Rule(F.relu, norm_after=False), Rule(F.relu, norm_after=True)
ELU, ELU_NORM = Rule(F.elu, norm_after=False), Rule(F.elu, norm_after=True)


def resnet(depth):
    net = getattr(torchvision.models, f"resnet{depth}")()
    net.fc = nn.Identity()
    return net


class SqueezeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torchvision.models.squeezenet1_0().features

    def forward(self, x):
        return self.features(x).mean((2, 3))


def measure(name, tensor):
    """The product with noise of that name: a change of any of the tensor's numbers changes it."""
    product = (tensor.detach() * noise("measure of " + name, tuple(tensor.shape))).sum().item()
    return float(f"{product:.13g}")


def outputs(tensor):
    """The measure of all, and the first three of each image."""
    return {"measure": measure("outputs", tensor), "first": tensor.detach()[:, :3].flatten().tolist()}


def record(name, net, images, size):
    with torch.no_grad():
        for key, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(fill(key, tuple(tensor.shape)))
    net.double()
    x = noise("images", (images, 3, size, size)).double()
    infer = net.eval()(x)
    train = net.train()(x)
    (train * noise("probe", tuple(train.shape))).sum().backward()
    result = {
        "images": images,
        "size": size,
        "infer": outputs(infer),
        "train": outputs(train),
        "gradients": {key: measure(key, p.grad) for key, p in net.named_parameters()},
        "statistics": {key: measure(key, b) for key, b in net.named_buffers() if b.is_floating_point()},
    }
    path = pathlib.Path(__file__).with_name(f"{name}.json")
    path.write_text(json.dumps(result, indent=1) + "\n")


record("alexnet", AlexNet(3, RELU_NORM, side=1), 3, 66)
record("alexnet_elu", AlexNet(3, ELU, side=1), 3, 66)
record("mini_googlenet", MiniGoogLeNet(3, RELU), 3, 20)
record("mini_googlenet_elu", MiniGoogLeNet(3, ELU_NORM), 3, 20)
# Sides of 18, 9, 5, 3 and 2 pixels: `same` pooling on even and on odd ones.
record("deeper_googlenet", DeeperGoogLeNet(3, RELU, deep=True), 3, 18)
record("deeper_googlenet_elu", DeeperGoogLeNet(3, ELU_NORM, deep=False), 3, 18)
for depth in (18, 34, 50, 101):
    record(f"resnet{depth}", resnet(depth), 4, 64)
# Sides of 16, 8, 4 and 2 pixels: the last window of every pooling reaches over the border.
record("squeezenet1_0", SqueezeNet(), 2, 37)


def count(name, net):
    trained = sum(p.numel() for p in net.parameters())
    statistics = sum(b.numel() for b in net.buffers() if b.is_floating_point())
    print(f"{name}: {trained:,} trained, {trained + statistics:,} with the running statistics")


count("AlexNet for 2 classes", AlexNet(2, RELU_NORM, side=6))
count("MiniGoogLeNet for 10 classes", MiniGoogLeNet(10, RELU))
count("DeeperGoogLeNet for 200 classes", DeeperGoogLeNet(200, RELU, deep=True))
count("DeeperGoogLeNet for 200 classes, without 4a to 4e", DeeperGoogLeNet(200, RELU, deep=False))
for depth in (18, 34, 50, 101):
    count(f"ResNet-{depth} without fc", resnet(depth))
count("SqueezeNet 1.0 without classifier", SqueezeNet())
