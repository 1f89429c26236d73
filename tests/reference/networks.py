"""Writes what PyTorch and torchvision compute with the networks of packtrain-worker, as tests/reference/<network>.json.

    python tests/reference/networks.py            (torch 2.11, torchvision 0.26)

Weights and images are filled by a formula that the tests repeat, so that only the results need keeping.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

torch.manual_seed(0)


def noise(name, shape):
    """Numbers in [-1, 1) that depend on the name and the place alone."""
    phase = sum(name.encode()) * 40503
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


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Unit(nn.Module):
    """A convolution, an activation and a normalisation before or after it."""

    def __init__(self, inputs, outputs, side, activation=F.relu, norm_after=False, **options):
        super().__init__()
        self.activation, self.norm_after = activation, norm_after
        self.conv = nn.Conv2d(inputs, outputs, side, **({"padding": "same"} | options))
        self.norm = norm(outputs)

    def forward(self, x):
        x = self.conv(x)
        return self.norm(self.activation(x)) if self.norm_after else self.activation(self.norm(x))


class Inception(nn.ModuleDict):
    def __init__(self, inputs, n1, r3, n3, r5, n5, p, **options):
        shapes = {
            "1x1": (inputs, n1, 1), "3x3reduce": (inputs, r3, 1), "3x3": (r3, n3, 3),
            "5x5reduce": (inputs, r5, 1), "5x5": (r5, n5, 5), "pool": (inputs, p, 1),
        }
        super().__init__({name: Unit(*shape, **options) for name, shape in shapes.items()})

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

    def __init__(self, classes, deep=True, **options):
        super().__init__()
        self.deep, channels = deep, 192
        self.conv1 = Unit(3, 64, 5, **options)
        self.conv2, self.conv3 = Unit(64, 64, 1, **options), Unit(64, 192, 3, **options)
        for name, (n1, r3, n3, r5, n5, p) in self.MODULES.items():
            if deep or name < "4":
                setattr(self, "inception" + name, Inception(channels, n1, r3, n3, r5, n5, p, **options))
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
    def __init__(self, side, classes):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 96, 11, stride=4), norm(96)
        self.conv2, self.norm2 = nn.Conv2d(96, 256, 5, padding="same"), norm(256)
        self.conv3, self.norm3 = nn.Conv2d(256, 384, 3, padding="same"), norm(384)
        self.conv4, self.norm4 = nn.Conv2d(384, 384, 3, padding="same"), norm(384)
        self.conv5, self.norm5 = nn.Conv2d(384, 256, 3, padding="same"), norm(256)
        self.dense6, self.norm6 = nn.Linear(side * side * 256, 4096), nn.BatchNorm1d(4096, eps=1e-3, momentum=0.01)
        self.dense7, self.norm7 = nn.Linear(4096, 4096), nn.BatchNorm1d(4096, eps=1e-3, momentum=0.01)
        self.dense8 = nn.Linear(4096, classes)

    def forward(self, x):
        x = F.max_pool2d(self.norm1(self.conv1(same(x, 11, 4)).relu()), 3, 2)
        x = F.max_pool2d(self.norm2(self.conv2(x).relu()), 3, 2)
        x = self.norm3(self.conv3(x).relu())
        x = self.norm4(self.conv4(x).relu())
        x = F.max_pool2d(self.norm5(self.conv5(x).relu()), 3, 2)
        x = x.permute(0, 2, 3, 1).flatten(1)
        x = self.norm6(self.dense6(x).relu())
        x = self.norm7(self.dense7(x).relu())
        return self.dense8(x)


class Mini(nn.Module):
    def __init__(self, inputs, narrow, wide):
        super().__init__()
        self.conv1x1, self.norm1x1 = nn.Conv2d(inputs, narrow, 1), norm(narrow)
        self.conv3x3, self.norm3x3 = nn.Conv2d(inputs, wide, 3, padding=1), norm(wide)

    def forward(self, x):
        return torch.cat([self.norm1x1(self.conv1x1(x)).relu(), self.norm3x3(self.conv3x3(x)).relu()], 1)


class Down(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(inputs, outputs, 3, stride=2), norm(outputs)

    def forward(self, x):
        return torch.cat([self.norm(self.conv(x)).relu(), F.max_pool2d(x, 3, 2)], 1)


class MiniGoogLeNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Module()
        self.stem.conv, self.stem.norm = nn.Conv2d(3, 96, 3, padding=1), norm(96)
        self.mini1, self.mini2, self.down1 = Mini(96, 32, 32), Mini(64, 32, 48), Down(80, 80)
        self.mini3, self.mini4 = Mini(160, 112, 48), Mini(160, 96, 64)
        self.mini5, self.mini6, self.down2 = Mini(160, 80, 80), Mini(160, 48, 96), Down(144, 96)
        self.mini7, self.mini8 = Mini(240, 176, 160), Mini(336, 176, 160)
        self.dense = nn.Linear(336, classes)

    def forward(self, x):
        x = self.stem.norm(self.stem.conv(x)).relu()
        x = self.down1(self.mini2(self.mini1(x)))
        x = self.down2(self.mini6(self.mini5(self.mini4(self.mini3(x)))))
        x = self.mini8(self.mini7(x))
        return self.dense(x.mean((2, 3)))


def resnet(depth):
    net = getattr(torchvision.models, f"resnet{depth}")()
    net.fc = nn.Identity()
    return net


def squeezenet1_0():
    net = torchvision.models.squeezenet1_0().features
    return nn.Sequential(net, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def summary(name, tensor):
    """The norm, and the product with noise of that name, in double precision."""
    values = tensor.detach().double()
    return [values.norm().item(), (values * noise(name, tuple(values.shape)).double()).sum().item()]


def outputs(tensor):
    return {"summary": summary("outputs", tensor), "first": tensor.detach()[:, :4].flatten().tolist()}


def training(net, x, rename):
    net.train()
    y = net(x)
    (y * noise("probe", tuple(y.shape))).sum().backward()
    return {
        "train": outputs(y),
        "gradients": {rename(key): summary(rename(key), p.grad) for key, p in net.named_parameters()},
        "statistics": {key: summary(key, b) for key, b in net.named_buffers() if b.is_floating_point()},
    }


def record(name, net, images, size, tolerance=1e-4, rename=lambda name: name, inference_only=False):
    with torch.no_grad():
        for key, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(fill(rename(key), tuple(tensor.shape)))
    x = noise("images", (images, 3, size, size))
    net.eval()
    result = {"images": images, "size": size, "gradient_tolerance": tolerance, "infer": outputs(net(x))}
    if not inference_only:
        result |= training(net, x, rename)
    path = pathlib.Path(__file__).with_name(f"{name}.json")
    path.write_text(json.dumps(result, indent=1) + "\n")


record("alexnet", AlexNet(1, 3), 3, 66)
record("mini_googlenet", MiniGoogLeNet(3), 3, 20)
# Sides of 18, 9, 5, 3 and 2 pixels: `same` pooling on even and on odd ones.
record("deeper_googlenet", DeeperGoogLeNet(3), 3, 18)
record("deeper_googlenet_elu", DeeperGoogLeNet(3, deep=False, activation=F.elu, norm_after=True), 3, 18)
# Rounding moves some of so many ReLUs: PyTorch's own gradients differ by 0.3 % between memory layouts.
record("resnet50", resnet(50), 4, 64, tolerance=1e-2)
record("resnet18", resnet(18), 4, 64, tolerance=1e-2)
record("resnet34", resnet(34), 4, 64, inference_only=True)
record("resnet101", resnet(101), 4, 64, inference_only=True)
record("squeezenet1_0", squeezenet1_0(), 2, 67, rename=lambda name: "features" + name[1:])
