"""Makes a mean image equal to its mirror image. Needs nothing but Python 3's standard library.

Training mirrors half of the images at random, so that what a network is trained on has a symmetric mean, whatever the images
as they lie have.
"""

import json
import sys


def main(source, target):
    with open(source, encoding="utf-8") as file:
        mean = json.load(file)
    image = mean["pixels"]
    height, width, values = image["height"], image["width"], image["values"]

    def pixel(row, column):
        start = (row * width + column) * 3
        return values[start : start + 3]

    mirrored = [value for row in range(height) for column in range(width) for value in pixel(row, width - 1 - column)]
    largest = max(abs(a - b) for a, b in zip(values, mirrored))
    image["values"] = [(a + b) / 2 for a, b in zip(values, mirrored)]
    with open(target, "w", encoding="utf-8") as file:
        json.dump(mean, file)
    print(f"{height} × {width} pixels; the largest difference to the mirror image was {largest:.1f}")


main(*sys.argv[1:])
