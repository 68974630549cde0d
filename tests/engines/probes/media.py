"""SGLang's loader of images, on some that cannot be loaded. Runs in the engine's Python."""

from __future__ import annotations

import traceback

from sglang.srt.managers.schedule_batch import Modality
from sglang.srt.multimodal.processors.base_processor import BaseMultimodalProcessor

IMAGES = ("data:image/png;base64,U0VDUkVU", "file:///nowhere/U0VDUkVU.png")


def media_in_log():
    """Where the image is in what the log would show, and whether its kind is."""
    return [_found(traceback_of(image)) for image in IMAGES]


def traceback_of(image):
    try:
        BaseMultimodalProcessor._load_single_item(image, Modality.IMAGE)
    except RuntimeError:
        return traceback.format_exc()


def _found(text):
    return ["U0VDUkVU" in text, "image" in text.splitlines()[-1]]


PROBES = {"media-in-log": media_in_log}
