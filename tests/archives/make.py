"""Makes the files of this folder: python3 make.py, with NumPy 2.4, Pillow 13 and h5py 3.

photos.*: four PNGs of 8x6 pixels in two folders, beside files that are no images.
book.hdf5: eight images of 8x8 pixels in two classes.
cifar-10-*: three images in data_batch_1, one in data_batch_2, two in test_batch, in the layout of the official archives.
"""

import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image


def png(red, green, blue):
    file = io.BytesIO()
    Image.new("RGB", (8, 6), (red, green, blue)).save(file, "PNG")
    return file.getvalue()


PHOTOS = {
    "summer/apple/1.png": png(200, 10, 10),
    "summer/apple/2.png": png(210, 20, 10),
    "summer/pear/1.png": png(10, 200, 10),
    "winter/pear/3.png": png(20, 210, 10),
    "winter/notes.txt": b"no image",
    "__MACOSX/summer/apple/._1.png": b"no image either",
}


def write_tar(path, mode, files, prefix=""):
    with tarfile.open(path, mode) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


with zipfile.ZipFile("photos.zip", "w") as archive:
    for number, (name, content) in enumerate(PHOTOS.items()):
        info = zipfile.ZipInfo(name)
        archive.writestr(info, content, zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED)
write_tar("photos.tar", "w", PHOTOS, "./")
write_tar("photos.tar.gz", "w:gz", PHOTOS)

CLASSES = ["airplane", "automobile", "bird"]
LABELS = {"data_batch_1": [2, 0, 1], "data_batch_2": [1], "test_batch": [0, 2]}


def planes(number, label):
    """Red grows to the right, green downwards, blue tells the label and the image's number in its batch."""
    y, x = np.mgrid[:32, :32]
    return np.stack([7 * x + number, 7 * y, 0 * x + 50 * label + number]).astype(np.uint8).reshape(-1)


class Python2(pickle._Pickler):
    """Writes what cPickle of Python 2 wrote: strings as bytes, NumPy under its old name."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_text(self, text):
        text = text.encode() if isinstance(text, str) else text
        self.write(b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<i", len(text)) + text)
        self.memoize(text)

    dispatch[bytes] = save_text
    dispatch[str] = save_text

    def save_global(self, obj, name=None):
        module = obj.__module__.replace("numpy._core", "numpy.core")
        self.write(b"c" + module.encode() + b"\n" + (name or obj.__name__).encode() + b"\n")
        self.memoize(obj)

    dispatch[type] = save_global
    dispatch[type(planes)] = save_global
    dispatch[type(len)] = save_global


def dumps(value):
    file = io.BytesIO()
    Python2(file, 2).dump(value)
    return file.getvalue()


binary, pickled = {"batches.meta.txt": "\n".join(CLASSES).encode() + b"\n\n"}, {}
for batch, labels in LABELS.items():
    data = np.stack([planes(number, label) for number, label in enumerate(labels)])
    names = [f"{CLASSES[label]}_s_{number:06}.png" for number, label in enumerate(labels)]
    binary[batch + ".bin"] = b"".join(bytes([label]) + row.tobytes() for label, row in zip(labels, data))
    pickled[batch] = dumps({"batch_label": batch, "labels": labels, "data": data, "filenames": names})
pickled["batches.meta"] = dumps({"num_cases_per_batch": 10000, "label_names": CLASSES, "num_vis": 3072})
pickled["readme.html"] = b"<html></html>"

write_tar("cifar-10-binary.tar.gz", "w:gz", binary, "cifar-10-batches-bin/")
write_tar("cifar-10-python.tar.gz", "w:gz", pickled, "cifar-10-batches-py/")

array = np.arange(250, 256, dtype=np.uint8).reshape(2, 3)
for protocol in [2, 4]:
    print(protocol, pickle.dumps({"data": array, "labels": [1, -2, 300]}, protocol).hex())
print("columns", pickle.dumps({"data": np.asfortranarray(array)}, 2).hex())
print("call", b"cos\nsystem\n(X\x07\x00\x00\x00echo oktR.".hex())

import h5py

# The book's layout, as its HDF5DatasetWriter makes it: images as float64, labels, nothing else.
pixels = (np.arange(8 * 8 * 8 * 3) * 7 % 200).reshape(8, 8, 8, 3) + 25 * (np.arange(8) % 2)[:, None, None, None]
with h5py.File("book.hdf5", "w") as db:
    db.create_dataset("images", (8, 8, 8, 3), dtype="float")[:] = pixels
    db.create_dataset("labels", (8,), dtype="int")[:] = np.arange(8) % 2
print("book", pixels.mean(axis=(0, 1, 2)).tolist())
