"""Small tables for tests, in the layouts that the benchmarks' authors use.

Numbers named genuine are from the published files; the rest of a table is made up.
"""

import bz2
import itertools
import json
import pickle

import numpy as np

from evo_clrs.spaces import CELL, MACRO, SIZES

RESNET = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
CONV3X3 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
    "|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)
CONV1X1 = CONV3X3.replace("3x3", "1x1")
SKIP = CONV3X3.replace("nor_conv_3x3", "skip_connect")
NUMBER_0 = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+"
    "|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
)
NUMBER_11 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|"
)
NUMBER_284 = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|"
BEST_CIFAR10 = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+"
    "|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
)
BEST_IMAGENET = (
    "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+"
    "|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
)

# Validation and test accuracy in percent, means over seeds after 200 epochs; from
# nasbench201_cifar10.json and its sisters, https://github.com/mingkai-zheng/GENIUS (benchmark/).
GENUINE_CELLS = {
    "cifar10": {
        RESNET: (90.86, 93.91),
        CONV3X3: (90.19867, 93.76),
        CONV1X1: (86.50933, 89.37),
        SKIP: (39.76933, 54.29667),
        NUMBER_0: (81.98267, 85.86333),
        NUMBER_11: (87.94, 91.58333),
        NUMBER_284: (86.04667, 88.79),
        BEST_CIFAR10: (91.60667, 94.37333),
        BEST_IMAGENET: (91.328, 94.125),
    },
    "cifar100": {
        RESNET: (70.5, 70.89),
        CONV3X3: (70.70667, 71.10667),
        CONV1X1: (65.4, 65.70667),
        SKIP: (15.03333, 15.60667),
        NUMBER_0: (52.7, 52.91333),
        NUMBER_11: (67.45333, 67.60667),
        NUMBER_284: (61.68, 62.14),
        BEST_CIFAR10: (72.74667, 73.22),
        BEST_IMAGENET: (72.52, 72.46),
    },
    "imagenet16-120": {
        RESNET: (44.1, 44.23333),
        CONV3X3: (40.77778, 41.44444),
        CONV1X1: (35.32222, 35.47778),
        SKIP: (16.43333, 16.32222),
        NUMBER_0: (28.21111, 26.63333),
        NUMBER_11: (30.41111, 30.16667),
        NUMBER_284: (33.4, 32.46667),
        BEST_CIFAR10: (45.55556, 46.71111),
        BEST_IMAGENET: (46.73333, 46.2),
    },
}

# From nas-bench-macro_cifar10.json, https://github.com/xiusu/NAS-Bench-Macro (data/).
GENUINE_MACRO = {
    "00000000": {"mean_acc": 45.36333211263021, "params": 387882, "flops": 7713280},
    "11111111": {"mean_acc": 91.92999776204427, "params": 1588874, "flops": 53246464},
    "22222222": {"mean_acc": 92.95333099365234, "params": 2932586, "flops": 105660928},
    "22212220": {"mean_acc": 93.12666320800781, "params": 1985514, "flops": 85164544},
}

# One cell and one size of the official archives: accuracies in percent for each seed, megaflops,
# mega-parameters, seconds of an epoch. Source: number 284 of NATS-tss-v1_0-3ffb9-simple and of
# NATS-sss-v1_0-50262-simple, the latter trained from one seed only.
SEEDS = (777, 888, 999)
GENUINE_NUMBER_284 = {
    ("cifar10-valid", "x-valid"): (86.05199997802734, 86.02000001464843, 86.06799999755859),
    ("cifar10-valid", "ori-test"): (85.83, 85.57, 85.51),
    ("cifar10", "ori-test"): (88.73, 88.55, 89.09),
    ("cifar100", "x-valid"): (62.060000006103515, 62.13999999389648, 60.83999996337891),
    ("cifar100", "x-test"): (63.0, 61.76000001220703, 61.65999991455078),
    ("ImageNet16-120", "x-valid"): (33.93333337402344, 33.06666665140788, 33.199999928792316),
    ("ImageNet16-120", "x-test"): (32.59999996439616, 31.933333201090495, 32.86666650390625),
}
CELL_COSTS = {  # of number 284
    "cifar10-valid": (11.71521, 0.101306, 4.875794370969136),
    "cifar10": (11.71521, 0.101306, 9.751588741938272),
    "cifar100": (11.72106, 0.107156, 9.751588741938272),
    "ImageNet16-120": (2.93644, 0.108456, 29.58632024304073),
}
GENUINE_SIZE_284 = {
    ("cifar10-valid", "x-valid"): (86.79599999511719,),
    ("cifar10-valid", "ori-test"): (86.22,),
    ("cifar10", "ori-test"): (89.51,),
    ("cifar100", "x-valid"): (62.77999999389648,),
    ("cifar100", "x-test"): (62.70000004882812,),
    ("ImageNet16-120", "x-valid"): (33.33333323160807,),
    ("ImageNet16-120", "x-test"): (32.76666660054525,),
}
SIZE_COSTS = {
    "cifar10-valid": (21.827994, 0.144834, 3.3467345237731934),
    "cifar10": (21.827994, 0.144834, 6.121),
    "cifar100": (21.831684, 0.148524, 6.127),
    "ImageNet16-120": (5.461816, 0.149344, 11.937),
}


def every_arch(space):
    """Returns all arch strings of a space, the last place fastest."""
    options = [range(len(place.options)) for place in space.places]
    return [space.arch(choices) for choices in itertools.product(*options)]


def cells(data=""):
    """Returns NAS-Bench-201's JSON form: made-up accuracies, and genuine ones of a data set."""
    entries = {}
    shift = len(data)  # data sets differ
    for number, arch in enumerate(every_arch(CELL)):
        validation = 10 + 50 * (number * 7919 % 15_625) / 15_625 + shift  # a made-up landscape
        entries[arch] = {"val_acc_200": validation, "test_acc_200": validation + 1, "rank": 1}
    for arch, (validation, test) in GENUINE_CELLS.get(data, {}).items():
        entries[arch] = {"val_acc_200": validation, "test_acc_200": test, "rank": 1}
    return entries


def macro():
    """Returns NAS-Bench-Macro's JSON: made-up numbers, and genuine ones of four networks."""
    made_up = {"test_acc": [50.0] * 3, "mean_acc": 50.0, "std": 0.0, "params": 10, "flops": 20}
    return {arch: GENUINE_MACRO.get(arch, made_up) for arch in every_arch(MACRO)}


def write_json(path, content):
    """Writes a JSON file and returns its path as a text."""
    path.write_text(json.dumps(content))
    return str(path)


def write_cells(path, data=""):
    """Writes NAS-Bench-201's JSON form and returns its path as a text."""
    return write_json(path, cells(data))


def write_pickle(path, content, protocol=4):
    """Writes a `.pickle.pbz2` file."""
    path.write_bytes(bz2.compress(pickle.dumps(content, protocol=protocol)))


def results(number, arch, accuracies, costs, epochs, seeds=SEEDS):
    """Returns the results of one design and budget, made with the benchmark's own classes."""
    from nats_bench.api_utils import ArchResults, ResultsCount

    found = ArchResults(number, arch)
    for training, (flops, params, seconds) in costs.items():
        sets = [name for name in accuracies if name[0] == training]
        for position in range(len(accuracies[sets[0]])):
            seed = seeds[position]
            config = {"channel": 16, "num_cells": 5, "arch_str": arch, "class_num": 10}
            trial = ResultsCount(
                *(training, None, {epochs - 1: 99.0}, {epochs - 1: 0.1}, np.float64(params), flops),
                *(config, f"{seed:04d}", epochs, [np.float64(0.0125)]),
            )
            trial.reset_pseudo_train_times(seconds)
            for key in sets:
                trial.eval_names.append(key[1])
                trial.eval_acc1es[f"{key[1]}@{epochs - 1}"] = accuracies[key][position]
                trial.eval_losses[f"{key[1]}@{epochs - 1}"] = 1.0
            found.update(training, seed, trial)
    return found.state_dict()


def cell_results(number=284, arch=NUMBER_284, accuracies=GENUINE_NUMBER_284):
    """Returns the results of one cell: 200 epochs as told, and 12 epochs far below."""
    short = {key: tuple(value - 20 for value in told) for key, told in accuracies.items()}
    return {
        "12": results(number, arch, short, CELL_COSTS, 12),
        "200": results(number, arch, accuracies, CELL_COSTS, 200),
    }


def size_results(number=284, arch="8:8:40:32:40"):
    """Returns the results of one size: 90 epochs as published, and 12 epochs far below."""
    short = {key: tuple(value - 20 for value in told) for key, told in GENUINE_SIZE_284.items()}
    return {
        "12": results(number, arch, short, SIZE_COSTS, 12),
        "90": results(number, arch, GENUINE_SIZE_284, SIZE_COSTS, 90),
    }


def write_archive(folder, archs, designs):
    """Writes an official folder: the list of all designs, and the files of some of them."""
    folder.mkdir(exist_ok=True)
    meta = {
        "meta_archs": list(archs),
        "total_archs": len(archs),
        "arch2infos": None,
        "evaluated_indexes": set(),
    }
    write_pickle(folder / "meta.pickle.pbz2", meta)
    for number, found in designs.items():
        write_pickle(folder / f"{number:06d}.pickle.pbz2", found)
    return str(folder)


def size_archs():
    """Returns the arch strings of the size space in official order."""
    return every_arch(SIZES)
