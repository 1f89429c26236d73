"""Packs a folder of photographs as a careful Python program would: two threads decode and resize, HDF5 is written in slices, u8.

Arguments: the folder of images, a folder to write into, and how to decode: `full`, `scaled` (at the smallest eighth that still covers
the square, which libjpeg decodes faster), or `decode` (decode and do nothing with it, the limit). For every line that is read the work
is done once, and images a second are printed.
"""

import sys
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
import h5py
import numpy as np
import simplejpeg

SIDE = 256
THREADS = 2
CHUNK = 32

cv2.setNumThreads(1)


def decode(path, how):
    data = path.read_bytes()
    if how == "scaled":
        return simplejpeg.decode_jpeg(data, min_height=SIDE, min_width=SIDE)
    return simplejpeg.decode_jpeg(data)


def square(image):
    height, width = image.shape[:2]
    if width < height:
        image = cv2.resize(image, (SIDE, int(height * (SIDE / width))), interpolation=cv2.INTER_AREA)
        cut = max(0, (image.shape[0] - SIDE) // 2)
        image = image[cut : image.shape[0] - cut]
    else:
        image = cv2.resize(image, (int(width * (SIDE / height)), SIDE), interpolation=cv2.INTER_AREA)
        cut = max(0, (image.shape[1] - SIDE) // 2)
        image = image[:, cut : image.shape[1] - cut]
    if image.shape[:2] != (SIDE, SIDE):
        image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return image


def chunk(job):
    paths, how = job
    rows = np.stack([square(decode(path, how)) for path in paths])
    return rows, rows.reshape(-1, 3).sum(0, dtype=np.uint64)


def chunks(paths, how):
    return [(paths[start : start + CHUNK], how) for start in range(0, len(paths), CHUNK)]


def pack(paths, labels, out, how, pool):
    """Writes three files and gives the mean of the first."""
    order = np.random.default_rng(0).permutation(len(paths))
    held_out = len(paths) // 10
    parts = {"val": order[:held_out], "test": order[held_out : 2 * held_out], "train": order[2 * held_out :]}
    total, count = np.zeros(3), 0
    for name, part in parts.items():
        with h5py.File(out / f"{name}.h5", "w") as file:
            images = file.create_dataset("images", (len(part), SIDE, SIDE, 3), dtype="uint8")
            file.create_dataset("labels", data=labels[part])
            start = 0
            for rows, sums in pool.imap(chunk, chunks([paths[index] for index in part], how)):
                images[start : start + len(rows)] = rows
                start += len(rows)
                if name == "train":
                    total += sums
                    count += len(rows) * SIDE * SIDE
    return total / count


def only_decode(job):
    for path in job[0]:
        decode(path, job[1])


def main():
    folder, out, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    out.mkdir(parents=True, exist_ok=True)
    with ThreadPool(THREADS) as pool:
        for _ in sys.stdin:
            started = time.perf_counter()
            paths = sorted(folder.glob("*/*.jpg"))
            classes = sorted({path.parent.name for path in paths})
            labels = np.array([classes.index(path.parent.name) for path in paths])
            if how == "decode":
                pool.map(only_decode, chunks(paths, how), chunksize=1)
            else:
                pack(paths, labels, out, how, pool)
            print(len(paths) / (time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    main()
