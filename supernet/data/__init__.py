"""Images: the embedded set, folders of class folders, and views of them."""

from supernet.data.embedded import load_fashion_mnist
from supernet.data.folder import load_folder
from supernet.data.images import HOLDOUT_IMAGES, Augment, Dataset, ImageSet, Views, hold_out
from supernet.data.load import EMBEDDED, absolute_source, load_dataset, survey_source
from supernet.data.look import Decoding, Look, look_at
from supernet.data.mixing import mixed
from supernet.data.moving import moved
from supernet.data.named import NAMED, load_named
from supernet.data.policies import PolicyName
from supernet.data.record import SPLITS, ImageRecord, changes, load_record
from supernet.data.sides import drawn_from_blocks
from supernet.data.views import Draws, draw_views, drawn_view, eval_view, train_view

__all__ = [
    "EMBEDDED",
    "HOLDOUT_IMAGES",
    "NAMED",
    "SPLITS",
    "Augment",
    "Dataset",
    "Decoding",
    "Draws",
    "ImageRecord",
    "ImageSet",
    "Look",
    "PolicyName",
    "Views",
    "absolute_source",
    "changes",
    "draw_views",
    "drawn_from_blocks",
    "drawn_view",
    "eval_view",
    "hold_out",
    "load_dataset",
    "load_fashion_mnist",
    "load_folder",
    "load_named",
    "load_record",
    "look_at",
    "mixed",
    "moved",
    "survey_source",
    "train_view",
]
