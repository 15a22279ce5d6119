"""The page of a bundle: its networks side by side, and how to switch between them."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["bundle_card"]


def bundle_card(levels: Sequence[Mapping[str, Any]], weights_bytes: int, alone_bytes: int) -> str:
    """Markdown.

    Args:
        levels: as in ``bundle.json``, the fastest first.
        weights_bytes: of the file that all read.
        alone_bytes: of all networks as files of their own.
    """
    rows = [
        "| network | file | input | multiply-adds | latency | top-1 | as in torch |",
        "|---" * 7 + "|",
    ]
    for level in levels:
        cells = [
            level["name"],
            f"`{level['file']}`",
            f"{level['resolution']} px",
            f"{level['macs'] / 1e6:.2f} M",
            f"{level['latency_ms']:.3f} ms",
            f"{level['top1']:.2f} % of {level['images']}",
            f"{level['agreement']:.2f} %",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    together = weights_bytes + sum(level["bytes"] for level in levels)
    return f"""# {len(levels)} networks that share their weights

{chr(10).join(rows)}

*As in torch*: images whose best class is the same. Latencies: one thread of the machine that
exported, batch 1. Each network gives the very bits of a file of its own.

Together {together / 1e6:.2f} MB, `weights-*.bin` included, which all of them read; as files of
their own {alone_bytes / 1e6:.2f} MB. Keep the files in one folder.

## Use

```
pip install 'onnxruntime>={levels[0]["lowest_onnxruntime"]}' numpy pillow
python predict.py --check
python predict.py photo.jpg --model {levels[0]["file"]}
python adaptive.py photo.jpg --ms {max(10, round(3 * levels[-1]["latency_ms"]))}
```

`adaptive.py` keeps all of them open and holds a frame time: it answers with the most accurate one
that is in time, preparing the picture included, and takes a faster one when the machine is busy.
To switch is to call another session.
`bundle.json` lists the networks for programs, the fastest first.
"""
