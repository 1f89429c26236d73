"""PyTorch's side of the rows about networks: channels-last, and bf16 by autocast. Every network and option is that of packtrain-worker.

    python networks.py train alexnet fp32 32 eager        training steps with data in memory; `compile` instead of `eager`: Inductor
    python networks.py crops alexnet bf16 80 frozen       ten crops of 8 images at a time, frozen TorchScript
    python networks.py features resnet50 fp32 32 compile  Inductor, with constants folded
    python networks.py features resnet50 fp32 32 compile cpu FOLDER   the same from JPEGs, decoded in two threads, a batch ahead
    python networks.py train alexnet fp32 32 limit        the step's multiplications at the highest speed that the device reaches
    python networks.py start alexnet fp32 2 eager         a first step, by a program that has just been started

Behind that a word names the device: `cpu`, if there is none, or `cuda`. Prepares, then answers every line of its input with a line: images a
second. `start` answers nothing; its time is what counts.
"""
import contextlib
import sys
import time

import torch
from torch import nn

PREPARED_SECONDS, MEASURED_SECONDS = 4, 4


class Unit(nn.Sequential):
    """A convolution with what follows it: norm → ReLU, or in AlexNet ReLU → norm."""

    def __init__(self, inputs, outputs, side, stride=1, padding=None, norm_last=False):
        relu, norm = nn.ReLU(inplace=True), nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        conv = nn.Conv2d(inputs, outputs, side, stride, side // 2 if padding is None else padding)
        super().__init__(conv, *([relu, norm] if norm_last else [norm, relu]))


class Join(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def pool():
    """TensorFlow's `same` for an even side."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def alexnet():
    def dense(inputs):
        norm = nn.BatchNorm1d(4096, eps=1e-3, momentum=0.01)
        return [nn.Linear(inputs, 4096), nn.ReLU(inplace=True), norm, nn.Dropout(0.5)]

    def end():
        return [nn.MaxPool2d(3, 2), nn.Dropout(0.25)]

    return nn.Sequential(
        Unit(3, 96, 11, 4, 4, norm_last=True), *end(), Unit(96, 256, 5, norm_last=True), *end(),
        Unit(256, 384, 3, norm_last=True), Unit(384, 384, 3, norm_last=True), Unit(384, 256, 3, norm_last=True), *end(),
        nn.Flatten(), *dense(9216), *dense(4096), nn.Linear(4096, 2),
    )


def mini_googlenet():
    def mini(inputs, narrow, wide):
        return Join(Unit(inputs, narrow, 1), Unit(inputs, wide, 3))

    def down(inputs, outputs):
        return Join(Unit(inputs, outputs, 3, 2, 0), nn.MaxPool2d(3, 2))

    return nn.Sequential(
        Unit(3, 96, 3), mini(96, 32, 32), mini(64, 32, 48), down(80, 80),
        mini(160, 112, 48), mini(160, 96, 64), mini(160, 80, 80), mini(160, 48, 96), down(144, 96),
        mini(240, 176, 160), mini(336, 176, 160), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(336, 10),
    )


def deeper_googlenet():
    def inception(inputs, one, three, five, last):
        in_turn = [nn.Sequential(Unit(inputs, reduced, 1), Unit(reduced, outputs, side)) for side, (reduced, outputs) in [(3, three), (5, five)]]
        return Join(Unit(inputs, one, 1), *in_turn, nn.Sequential(nn.MaxPool2d(3, 1, 1), Unit(inputs, last, 1)))

    return nn.Sequential(
        Unit(3, 64, 5), pool(), Unit(64, 64, 1), Unit(64, 192, 3), pool(),
        inception(192, 64, (96, 128), (16, 32), 32), inception(256, 128, (128, 192), (32, 96), 64), pool(),
        inception(480, 192, (96, 208), (16, 48), 64), inception(512, 160, (112, 224), (24, 64), 64),
        inception(512, 128, (128, 256), (24, 64), 64), inception(512, 112, (144, 288), (32, 64), 64),
        inception(528, 256, (160, 320), (32, 128), 128), pool(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(832, 200),
    )


def resnet50():
    import torchvision

    net = torchvision.models.resnet50()
    net.fc = nn.Identity()
    return net


# Side of the images, classes, factor of the penalty on kernels.
NETWORKS = {
    "alexnet": (alexnet, 227, 2, 2e-4), "mini-googlenet": (mini_googlenet, 32, 10, 0.0),
    "deeper-googlenet": (deeper_googlenet, 64, 200, 2e-4), "resnet50": (resnet50, 224, 0, 0.0),
}


def autocast(precision, device):
    return torch.autocast(device, dtype=torch.bfloat16) if precision == "bf16" else contextlib.nullcontext()


def training(name, precision, batch, way, device):
    make, side, classes, l2 = NETWORKS[name]
    net = make().train().to(device, memory_format=torch.channels_last)
    images = torch.randn(batch, 3, side, side).to(device, memory_format=torch.channels_last)
    labels = torch.randint(0, classes, (batch,)).to(device)
    kernels = [tensor for tensor in net.parameters() if tensor.ndim > 1]
    offsets = [tensor for tensor in net.parameters() if tensor.ndim == 1]
    groups = [{"params": kernels, "weight_decay": 2 * l2}, {"params": offsets}]
    optimizer = torch.optim.SGD(groups, lr=1e-3, momentum=0.9, fused=device == "cuda")
    forward = torch.compile(net) if way == "compile" else net

    def step():
        optimizer.zero_grad(set_to_none=True)
        with autocast(precision, device):
            logits = forward(images)
        nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return step, batch


def photographs(folder, batch, side):
    """The middles of a folder's JPEGs, packed as `pack.py` does it, in batches without end."""
    from concurrent.futures import ThreadPoolExecutor
    from itertools import cycle, islice
    from pathlib import Path

    import numpy as np
    from pack import SIDE, decode, square

    def middle(path):
        start = (SIDE - side) // 2
        return square(decode(path, "full"))[start : start + side, start : start + side]

    def batch_of(started):
        images = torch.from_numpy(np.stack([image.result() for image in started]))
        return images.permute(0, 3, 1, 2).float().sub_(120).div_(58)

    paths = cycle(sorted(Path(folder).rglob("*.jpg")))
    with ThreadPoolExecutor(2) as pool:
        started = [pool.submit(middle, path) for path in islice(paths, batch)]
        while True:
            before, started = started, [pool.submit(middle, path) for path in islice(paths, batch)]
            yield batch_of(before)


def inference(name, precision, batch, way, device, crops=1, folder=None):
    make, side, _, _ = NETWORKS[name]
    net = make().eval().to(device, memory_format=torch.channels_last)
    images = torch.randn(batch, 3, side, side).to(device, memory_format=torch.channels_last)
    with torch.no_grad():
        if way == "compile":
            from torch._inductor import config

            config.freezing = True
            forward = torch.compile(net)
        elif way == "limit":
            forward = net
        else:
            if precision == "bf16":
                net, images = net.to(torch.bfloat16), images.to(torch.bfloat16)
            forward = torch.jit.freeze(torch.jit.trace(net, images))

    batches = photographs(folder, batch, side) if folder else None

    def step():
        with torch.no_grad(), autocast("fp32" if way == "frozen" else precision, device):
            forward(next(batches).to(device) if batches else images)

    return step, batch // crops


def multiplying(precision, device):
    """What keeps the device's arithmetic busiest, of a matrix product and a convolution; and its operations."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    side, count = (8192, 128) if device == "cuda" else (2048, 32)
    a, b = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    net = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(device, kind, memory_format=torch.channels_last)
    images = torch.randn(count, 256, 28, 28).to(device, kind, memory_format=torch.channels_last)

    @torch.no_grad()
    def convolve():
        net(images)

    ways = [(lambda: a @ b, 2 * side**3), (convolve, 2 * 256 * 256 * 9 * 28 * 28 * count)]
    return max(ways, key=lambda way: measured(*way, 1, device))


def operations(step):
    """Those of its convolutions and matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def measured(step, amount, seconds, device):
    """How much of an amount that a step does is done in a second."""
    wait(device)
    started = time.perf_counter()
    steps = 0
    while time.perf_counter() - started < seconds or steps < 2:
        step()
        steps += 1
        # Else steps would be counted long before they are made.
        if steps % 8 == 0:
            wait(device)
    wait(device)
    return amount * steps / (time.perf_counter() - started)


def main():
    what, name, precision, batch, way, *rest = sys.argv[1:]
    device = rest[0] if rest else "cpu"
    folder = rest[1] if len(rest) > 1 else None
    if device == "cuda":
        # The same numbers on both sides: fp32 is not TF32.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
    if what in ("train", "start"):
        step, images = training(name, precision, int(batch), way, device)
    else:
        step, images = inference(name, precision, int(batch), way, device, 10 if what == "crops" else 1, folder)
    if what == "start":
        step()
        return
    if way == "limit":
        needed = operations(step) / images
        step, images = multiplying(precision, device)
        images /= needed
    measured(step, images, PREPARED_SECONDS, device)
    for _ in sys.stdin:
        print(f"{measured(step, images, MEASURED_SECONDS, device):.4f}", flush=True)


if __name__ == "__main__":
    main()
