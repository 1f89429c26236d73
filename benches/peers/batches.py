"""The best that Python does to prepare training batches from packed images: crops gathered as bytes by threads that share nothing, turned
into numbers by torch a batch at a time; warps by OpenCV.

    python batches.py crop IMAGES.h5       227×227 crops, mirrored at random, minus a mean, batches of 128, channels-last
    python batches.py affine IMAGES.h5     the same, turned, moved, sheared and zoomed in between

Prepares, then answers every line of its input with a line: images a second.
"""
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import h5py
import numpy as np
import torch

SIDE, BATCH, THREADS = 227, 128, 2
MEASURED_SECONDS = 2
MEAN = np.tile(np.array([124.0, 117.0, 104.0], np.float32), SIDE)


def mapped(path):
    with h5py.File(path, "r") as file:
        images = file["images"]
        return np.memmap(path, np.uint8, "r", images.id.get_offset(), images.shape)


def warp(dice, mirrored):
    """Where a pixel comes from, as OpenCV wants it: rotation, shift, shear, zoom about the centre, as Keras composes them."""
    turn, shear = math.radians(dice.uniform(-20, 20)), dice.uniform(-0.15, 0.15)
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    matrix = rotation @ [[1, -math.sin(shear)], [0, math.cos(shear)]] @ np.diag(dice.uniform(0.85, 1.15, 2))
    centre = np.full(2, SIDE / 2 - 0.5)
    offset = centre + rotation @ dice.uniform(-0.2, 0.2, 2) * SIDE - matrix @ centre
    by_x = np.array([[matrix[1, 1], matrix[1, 0], offset[1]], [matrix[0, 1], matrix[0, 0], offset[0]]])
    return by_x @ [[-1, 0, SIDE - 1], [0, 1, 0], [0, 0, 1]] if mirrored else by_x


def batch(images, rows, dice, affine):
    _, height, width, _ = images.shape
    pixels = np.empty((len(rows), SIDE, SIDE, 3), np.uint8)
    for row, out in zip(rows, pixels):
        top, left, mirrored = dice.integers(height - SIDE + 1), dice.integers(width - SIDE + 1), dice.random() < 0.5
        crop = images[row, top : top + SIDE, left : left + SIDE]
        if affine:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            cv2.warpAffine(np.ascontiguousarray(crop), warp(dice, mirrored), (SIDE, SIDE), out, flags, cv2.BORDER_REPLICATE)
        elif mirrored:
            cv2.flip(crop, 1, out)
        else:
            out[:] = crop
    inputs = torch.from_numpy(pixels).view(len(rows), SIDE, SIDE * 3).to(torch.float32).sub_(torch.from_numpy(MEAN))
    return inputs.view(len(rows), SIDE, SIDE, 3).permute(0, 3, 1, 2)


def measured(images, affine, pool, seed):
    """Goes over the images again and again, some batches ahead."""
    dice = np.random.default_rng(seed)
    waiting, done, started = [], 0, time.perf_counter()
    while True:
        for rows in np.split(dice.permutation(len(images))[: len(images) // BATCH * BATCH], len(images) // BATCH):
            waiting.append(pool.submit(batch, images, np.sort(rows), np.random.default_rng(dice.integers(2**63)), affine))
            if len(waiting) > THREADS:
                done += len(waiting.pop(0).result())
        seconds = time.perf_counter() - started
        if seconds > MEASURED_SECONDS:
            rate = done / seconds
            [late.result() for late in waiting]
            return rate


def main():
    what, path = sys.argv[1:]
    cv2.setNumThreads(1)
    torch.set_num_threads(THREADS)
    images = mapped(path)
    with ThreadPoolExecutor(THREADS) as pool:
        measured(images, what == "affine", pool, 0)
        for seed, _ in enumerate(sys.stdin, 1):
            print(f"{measured(images, what == 'affine', pool, seed):.4f}", flush=True)


if __name__ == "__main__":
    main()
