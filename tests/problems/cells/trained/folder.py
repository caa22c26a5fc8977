"""A folder in the binary form of CIFAR-10, made of a few known images and black ones."""

import os

import numpy as np

RECORD = 3073
FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")


def write(folder):
    """Writes six files of 10,000 records; in file f, record 7 is of class f and its own pixels."""
    for number, name in enumerate(FILES):
        record = np.zeros(RECORD, np.uint8)
        record[0] = number
        record[1:] = image(number).transpose(2, 0, 1).ravel()
        with open(folder / name, "wb") as file:
            file.seek(7 * RECORD)
            file.write(record.tobytes())
            os.truncate(file.fileno(), 10_000 * RECORD)
    return folder


def image(number):
    """Returns the image of record 7 of a file, uint8 [32, 32, 3]."""
    return np.random.default_rng(number).integers(1, 256, (32, 32, 3), np.uint8)
