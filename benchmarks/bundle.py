"""A bundle of three: bytes, memory, time to switch, and a frame time held under load.

    python benchmarks/bundle.py [--space mobilenet_v3]

Three subnets of one supernet with random weights, of which a tenth, half and nine tenths of random
subnets have fewer multiply-adds, for images of 160, 192 and 224 pixels. In processes of their own:

- memory: the private and the shared part of what a process holds (PSS), with the largest network
  alone, and with all three as `adaptive.py` opens them; runs of each before;
- switching: the time of a network when another one ran before it, less that when it ran before
  itself;
- frames: images for 20 s, in whose middle third four other processes take the processor's cores; a
  frame may take 1.5 times what its preparing and the largest network take on a quiet machine. Small
  frames, and large ones whose preparing takes longer than a network.

Writes `benchmarks/results/bundle_<hardware>_<date>.json`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from records import add_hardware, write_result
from supernet.export import Source
from supernet.export.bundle import SharedWeights
from supernet.export.direct import direct_onnx
from supernet.export.factors import factors_of
from supernet.export.handover import write_adaptive_script, write_predict_script

from supernet.models import Supernet, extract
from supernet.space import decode, load_space, macs_of, sample

SIZES = ("256x256", "1920x1080")  # of frames
LEVELS = {"fast": (0.1, 160), "balanced": (0.5, 192), "accurate": (0.9, 224)}

COMMON = """
import json, statistics, sys, time
import numpy as np
from adaptive import Adaptive, opened
from predict import Classifier, HERE
from PIL import Image

def held():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

def ran(networks, count=20):
    for _ in range(count):
        for network in networks:
            shape = network.input.shape
            network.session.run(None, {network.input.name: np.zeros(shape, np.float32)})

def time_of(network):
    images = np.zeros(network.input.shape, np.float32)
    begin = time.perf_counter()
    network.session.run(None, {network.input.name: images})
    return 1e3 * (time.perf_counter() - begin)
"""

MEMORY = """
before = held()
networks = [Classifier(HERE / "alone.onnx")] if sys.argv[1] == "alone" else opened()
ran(networks)
print(json.dumps({"process": held(), "added": held() - before}))
"""

SWITCH = """
fast, *_, accurate = opened()
ran([fast, accurate])
stays, switches = [], []
for _ in range(100):
    time_of(fast), time_of(accurate)
    stays.append(time_of(accurate))
    time_of(fast)
    switches.append(time_of(accurate))
print(json.dumps(statistics.median(switches) - statistics.median(stays)))
"""

FRAMES = """
import multiprocessing
def burn():
    while True:
        pass
frame = Image.new("RGB", tuple(map(int, sys.argv[2].split("x"))))
adaptive = Adaptive(1e9)
preparing = min(adaptive.timed(adaptive.networks[-1], frame)[1] for _ in range(9))
adaptive.ms = 1.5 * (preparing + adaptive.cost[-1])
if sys.argv[1] == "fixed":
    adaptive.cost = adaptive.cost[-1:]
    adaptive.networks = adaptive.networks[-1:]
    adaptive.top1 = adaptive.top1[-1:]
    adaptive.level = 0
found = {"quiet": [], "busy": [], "quiet again": []}
for phase, rows in found.items():
    burners = [multiprocessing.Process(target=burn, daemon=True) for _ in range(4)]
    if phase == "busy":
        [burner.start() for burner in burners]
    end = time.perf_counter() + 20 / 3
    while time.perf_counter() < end:
        level = adaptive.level
        begin = time.perf_counter()
        adaptive.best(frame)
        rows.append((1e3 * (time.perf_counter() - begin), level))
    [burner.kill() for burner in burners if burner.pid]
print(json.dumps({
    "frame_ms": adaptive.ms,
    "phases": {
        phase: {
            "frames": len(rows),
            "in_time_percent": 100 * sum(ms <= adaptive.ms for ms, _ in rows) / len(rows),
            "median_ms": statistics.median(ms for ms, _ in rows),
            "networks_percent": [
                100 * sum(level == n for _, level in rows) / len(rows)
                for n in range(len(adaptive.networks))
            ],
        }
        for phase, rows in found.items()
    },
}))
"""


def write_bundle(name: str, folder: Path) -> dict[str, Any]:
    """A folder as `supernet export --bundle` writes it, and ``alone.onnx``, the largest network's.

    Returns:
        Bytes of the files.
    """
    space = load_space(name)
    torch.manual_seed(0)
    supernet = Supernet(space)
    genes = sample(space, 3000, np.random.default_rng(1))
    order = np.argsort(macs_of(space, genes))
    models, factors = {}, {}
    for level, (share, resolution) in LEVELS.items():
        gene = genes[order[int(share * len(order))]][None]
        subnet = replace(decode(space, gene)[0], resolution=resolution)
        network = extract(supernet, subnet).eval()
        source = Source(
            network=network, in_channels=space.in_channels, resolution=subnet.resolution
        )
        models[level] = direct_onnx(source)
        factors[level] = factors_of(network)
        facts = {"classes": list(range(1000)), "mean": [0.5], "std": [0.25], "frame": 1.0}
        for key, value in {**facts, "pixels": False, "output": "logits"}.items():
            models[level].metadata_props.add(key=key, value=json.dumps(value))
    alone = {level: model.ByteSize() for level, model in models.items()}
    (folder / "alone.onnx").write_bytes(models["accurate"].SerializeToString())
    shared = SharedWeights(list(factors.values()))
    shared.write(folder)
    for level, model in models.items():
        shared.put_into(model, factors[level])
        (folder / f"{level}.onnx").write_bytes(model.SerializeToString())
    levels = [
        {"name": level, "file": f"{level}.onnx", "top1": rank} for rank, level in enumerate(LEVELS)
    ]
    (folder / "bundle.json").write_text(json.dumps({"levels": levels}))
    write_predict_script(folder)
    write_adaptive_script(folder)
    together = shared.size + sum(model.ByteSize() for model in models.values())
    return {
        "alone": alone,
        "together": together,
        "together, largest = 1": together / max(alone.values()),
    }


def answer(folder: Path, code: str, *arguments: str) -> Any:
    """What a script of `COMMON` and `code` prints, in a process of its own in the folder."""
    command = [sys.executable, "-c", COMMON + code, *arguments]
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True, env=environment
    )
    return json.loads(done.stdout)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--space", default="mobilenet_v3")
    add_hardware(parser)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        figures: dict[str, Any] = {"space": given.space, "bytes": write_bundle(given.space, folder)}
        memory = {kind: answer(folder, MEMORY, kind) for kind in ("alone", "all")}
        figures["memory"] = memory | {
            f"{part}, largest alone = 1": memory["all"][part] / memory["alone"][part]
            for part in ("process", "added")
        }
        figures["switch_ms"] = answer(folder, SWITCH)
        figures["frames"] = {
            size: {
                "adaptive": answer(folder, FRAMES, "adaptive", size),
                "largest alone": answer(folder, FRAMES, "fixed", size),
            }
            for size in SIZES
        }
    print(json.dumps(figures, indent=1))
    print(write_result("bundle", given.hardware, ("onnxruntime", "numpy", "torch"), figures))


if __name__ == "__main__":
    main()
