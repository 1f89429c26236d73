"""packtrain's networks as PyTorch modules, whose parameters have the names of the tensors in a `model.safetensors`.

    network, about = load("output/dogs/train/model.safetensors")
    logits = network(inputs(images, about))

Needs torch and safetensors; with images of another size than the network's input also opencv-python-headless. docs/PYTORCH.md tells more.
"""
import json
import math

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn


def load(path):
    """The network of a model file, set to inference, and what the file says of itself: `architecture`, `class-names`, `input`."""
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["packtrain"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    network = build(about["architecture"], about["input"]["size"], len(about["class-names"]))
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    # How many batches a normalisation has seen, which PyTorch counts and nothing uses.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    return network.eval(), about


def build(architecture, size, classes):
    """The network of a description such as `{"alexnet": {"l2": 0.0002, ...}}`, for images of `size` pixels a side, with new weights."""
    [(name, options)] = architecture.items()
    activation = {"relu": F.relu, "elu": F.elu}[options["activation"]]
    rule = Rule(activation, norm_after=options["norm"] == "after-activation")
    if name == "alexnet":
        return AlexNet(classes, rule, AlexNet.side_after_pooling(size))
    if name == "mini-googlenet":
        return MiniGoogLeNet(classes, rule)
    if name == "deeper-googlenet":
        return DeeperGoogLeNet(classes, rule, deep=options["modules-4"])
    raise ValueError(f"{name} is no network of packtrain")


def inputs(images, about):
    """Packed images `[N,H,W,3] u8`, RGB, as the network wants them: `[N,3,size,size]`, the mean subtracted, scaled."""
    rule = about["input"]
    size, mean = rule["size"], rule["mean"]
    height, width = images.shape[1:3]
    pixels = mean and mean.get("pixels")
    offset = np.array([mean[channel] for channel in "RGB"], np.float32) if mean else np.float32(0)
    if pixels:
        offset = np.array(pixels["values"], np.float32).reshape(pixels["height"], pixels["width"], 3)
    if rule["eval"] == "center-crop":
        top, left = (height - size) // 2, (width - size) // 2
        images = images[:, top : top + size, left : left + size]
        offset = offset[top : top + size, left : left + size] if pixels else offset
    elif (height, width) != (size, size):
        import cv2

        images = np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images])
    return torch.from_numpy((images.astype(np.float32) - offset) * np.float32(rule["scale"])).permute(0, 3, 1, 2)


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

    @staticmethod
    def side_after_pooling(size):
        side = math.ceil(size / 4)
        for _ in range(3):
            side = (side - 3) // 2 + 1
        return side

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
