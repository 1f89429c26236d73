"""Writes what PyTorch and torchvision compute with the networks of packtrain-worker, as tests/reference/<network>.json, and prints
how many numbers they have.

    python tests/reference/networks.py            (torch 2.11, torchvision 0.26)

Weights and images are filled by a formula that the tests repeat, so that only the results need keeping: a number for each tensor.
All is computed in double precision. In single precision, gradients of networks as deep and batches as small as these have two
or three digits: the rounding moves some of so many ReLUs.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn


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


def same(x, side, stride):
    total = max((math.ceil(x.shape[-1] / stride) - 1) * stride + side - x.shape[-1], 0)
    return F.pad(x, (total // 2, total - total // 2) * 2)


def norm(channels, layer=nn.BatchNorm2d):
    return layer(channels, eps=1e-3, momentum=0.01)


class Rule:
    """What follows a convolution or a dense layer: an activation, and a normalisation before or after it."""

    def __init__(self, activation, norm_after):
        self.activation, self.norm_after = activation, norm_after

    def __call__(self, x, norm):
        return norm(self.activation(x)) if self.norm_after else self.activation(norm(x))


RELU, RELU_NORM = Rule(F.relu, norm_after=False), Rule(F.relu, norm_after=True)
ELU, ELU_NORM = Rule(F.elu, norm_after=False), Rule(F.elu, norm_after=True)


class Unit(nn.Module):
    def __init__(self, rule, inputs, outputs, side, **options):
        super().__init__()
        self.rule = rule
        self.conv = nn.Conv2d(inputs, outputs, side, **({"padding": "same"} | options))
        self.norm = norm(outputs)

    def forward(self, x):
        return self.rule(self.conv(x), self.norm)


class Inception(nn.ModuleDict):
    def __init__(self, rule, inputs, n1, r3, n3, r5, n5, p):
        shapes = {
            "1x1": (inputs, n1, 1), "3x3reduce": (inputs, r3, 1), "3x3": (r3, n3, 3),
            "5x5reduce": (inputs, r5, 1), "5x5": (r5, n5, 5), "pool": (inputs, p, 1),
        }
        super().__init__({name: Unit(rule, *shape) for name, shape in shapes.items()})

    def forward(self, x):
        wide, wider = self["3x3"](self["3x3reduce"](x)), self["5x5"](self["5x5reduce"](x))
        pooled = self["pool"](F.max_pool2d(x, 3, 1, padding=1))
        return torch.cat([self["1x1"](x), wide, wider, pooled], 1)


def same_pool(x):
    total = max((math.ceil(x.shape[-1] / 2) - 1) * 2 + 3 - x.shape[-1], 0)
    return F.max_pool2d(F.pad(x, (total // 2, total - total // 2) * 2, value=-math.inf), 3, 2)


class DeeperGoogLeNet(nn.Module):
    MODULES = {
        "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    }

    def __init__(self, classes, rule, deep):
        super().__init__()
        self.deep, channels = deep, 192
        self.conv1 = Unit(rule, 3, 64, 5)
        self.conv2, self.conv3 = Unit(rule, 64, 64, 1), Unit(rule, 64, 192, 3)
        for name, (n1, r3, n3, r5, n5, p) in self.MODULES.items():
            if deep or name < "4":
                setattr(self, "inception" + name, Inception(rule, channels, n1, r3, n3, r5, n5, p))
                channels = n1 + n3 + n5 + p
        self.dense = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.conv3(self.conv2(same_pool(self.conv1(x))))
        x = same_pool(self.inception3b(self.inception3a(same_pool(x))))
        if self.deep:
            x = self.inception4c(self.inception4b(self.inception4a(x)))
            x = self.inception4e(self.inception4d(x))
        return self.dense(same_pool(x).mean((2, 3)))


class AlexNet(nn.Module):
    """`side` is the images' after the last pooling: 1 of 66 pixels, 6 of 227."""

    def __init__(self, classes, rule, side):
        super().__init__()
        self.rule = rule
        self.conv1, self.norm1 = nn.Conv2d(3, 96, 11, stride=4), norm(96)
        self.conv2, self.norm2 = nn.Conv2d(96, 256, 5, padding="same"), norm(256)
        self.conv3, self.norm3 = nn.Conv2d(256, 384, 3, padding="same"), norm(384)
        self.conv4, self.norm4 = nn.Conv2d(384, 384, 3, padding="same"), norm(384)
        self.conv5, self.norm5 = nn.Conv2d(384, 256, 3, padding="same"), norm(256)
        self.dense6, self.norm6 = nn.Linear(side * side * 256, 4096), norm(4096, nn.BatchNorm1d)
        self.dense7, self.norm7 = nn.Linear(4096, 4096), norm(4096, nn.BatchNorm1d)
        self.dense8 = nn.Linear(4096, classes)

    def forward(self, x):
        x = F.max_pool2d(self.rule(self.conv1(same(x, 11, 4)), self.norm1), 3, 2)
        x = F.max_pool2d(self.rule(self.conv2(x), self.norm2), 3, 2)
        x = self.rule(self.conv3(x), self.norm3)
        x = self.rule(self.conv4(x), self.norm4)
        x = F.max_pool2d(self.rule(self.conv5(x), self.norm5), 3, 2)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = self.rule(self.dense6(x), self.norm6)
        x = self.rule(self.dense7(x), self.norm7)
        return self.dense8(x)


class Mini(nn.Module):
    def __init__(self, rule, inputs, narrow, wide):
        super().__init__()
        self.rule = rule
        self.conv1x1, self.norm1x1 = nn.Conv2d(inputs, narrow, 1), norm(narrow)
        self.conv3x3, self.norm3x3 = nn.Conv2d(inputs, wide, 3, padding=1), norm(wide)

    def forward(self, x):
        return torch.cat([self.rule(self.conv1x1(x), self.norm1x1), self.rule(self.conv3x3(x), self.norm3x3)], 1)


class Down(Unit):
    def __init__(self, rule, inputs, outputs):
        super().__init__(rule, inputs, outputs, 3, stride=2, padding=0)

    def forward(self, x):
        return torch.cat([super().forward(x), F.max_pool2d(x, 3, 2)], 1)


class MiniGoogLeNet(nn.Module):
    def __init__(self, classes, rule):
        super().__init__()
        self.stem = Unit(rule, 3, 96, 3)
        self.mini1, self.mini2, self.down1 = Mini(rule, 96, 32, 32), Mini(rule, 64, 32, 48), Down(rule, 80, 80)
        self.mini3, self.mini4 = Mini(rule, 160, 112, 48), Mini(rule, 160, 96, 64)
        self.mini5, self.mini6, self.down2 = Mini(rule, 160, 80, 80), Mini(rule, 160, 48, 96), Down(rule, 144, 96)
        self.mini7, self.mini8 = Mini(rule, 240, 176, 160), Mini(rule, 336, 176, 160)
        self.dense = nn.Linear(336, classes)

    def forward(self, x):
        x = self.down1(self.mini2(self.mini1(self.stem(x))))
        x = self.down2(self.mini6(self.mini5(self.mini4(self.mini3(x)))))
        x = self.mini8(self.mini7(x))
        return self.dense(x.mean((2, 3)))


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
