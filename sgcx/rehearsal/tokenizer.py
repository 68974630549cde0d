"""A byte-level BPE tokenizer trained on the standard library's sources, which every machine has.

Runs in the engine's Python only.
"""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

from sgcx.rehearsal import markers

VOCABULARY_SIZE = 8192
TRAINING_FILES = 160


def training_files() -> list[str]:
    standard_library = Path(sysconfig.get_paths()["stdlib"])
    return [str(path) for path in sorted(standard_library.glob("*.py"))[:TRAINING_FILES]]


def write_tokenizer(directory: Path, *, context_length: int) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(markers.CONTROL) - len(markers.VISIBLE),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train(training_files(), trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in markers.CONTROL])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in markers.VISIBLE])
    tokenizer.save(str(directory / "tokenizer.json"))
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "[BOS]",
        "eos_token": markers.END,
        "pad_token": "[PAD]",
        "model_max_length": context_length,
        "clean_up_tokenization_spaces": False,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(configuration, indent=1))


def token_id(directory: Path, text: str) -> int:
    from tokenizers import Tokenizer

    found: int = Tokenizer.from_file(str(directory / "tokenizer.json")).token_to_id(text)
    return found
