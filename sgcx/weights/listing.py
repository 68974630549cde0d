"""What a repository holds, as the hub says: names, sizes and hashes. The one place that asks the hub's API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from sgcx.errors import UserError

_OTHER_FORMATS = frozenset({".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx", ".h5", ".msgpack", ".ot", ".tflite"})
_OTHER_FOLDERS = frozenset({"original", "metal", "onnx", "coreml", "openvino"})


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    path: str
    size_bytes: int
    sha256: str | None
    """Of large files; the others have only git's hash."""
    git_hash: str

    @property
    def blob_name(self) -> str:
        """What the hub's client calls it in its cache."""
        return self.sha256 or self.git_hash


@dataclass(frozen=True, slots=True)
class Listing:
    """`files`: those that SGLang may read. A repository's other formats of the same weights are left out."""

    repository: str
    commit: str
    files: tuple[RepositoryFile, ...]

    @property
    def total_bytes(self) -> int:
        """Files of the same content are one."""
        return sum({file.blob_name: file.size_bytes for file in self.files}.values())


def list_repository(repository: str, revision: str | None) -> Listing:
    """Asks the hub. Raises UserError where it refuses, does not know, or cannot be reached."""
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=30)
    except Exception as error:  # the client's versions raise the errors of different HTTP libraries
        raise hub_error(type(error).__name__, repository, revision) from error
    files = [
        RepositoryFile(
            path=each.rfilename,
            size_bytes=each.size or 0,
            sha256=each.lfs.sha256 if each.lfs is not None else None,
            git_hash=each.blob_id or "",
        )
        for each in info.siblings or ()
    ]
    if info.sha is None or not files:
        raise UserError(f"The hub lists no files of {repository}")
    return Listing(repository, info.sha, wanted_files(files))


def wanted_files(files: list[RepositoryFile]) -> tuple[RepositoryFile, ...]:
    """All, unless there are safetensors: then no second copy of the weights in another format."""
    if not any(file.path.endswith(".safetensors") for file in files):
        return tuple(files)
    return tuple(file for file in files if not _is_other_format(PurePosixPath(file.path)))


def _is_other_format(path: PurePosixPath) -> bool:
    return path.suffix in _OTHER_FORMATS or path.parts[0] in _OTHER_FOLDERS


def hub_error(kind: str, repository: str, revision: str | None = None) -> UserError:
    """`kind` is the name of the error's class: its text may hold addresses and headers, and is never shown."""
    match kind:
        case "GatedRepoError":
            return UserError(
                f"The hub gives {repository} only to those who accepted its terms",
                hint=f"Accept them at https://huggingface.co/{repository}, then `hf auth login` or set HF_TOKEN",
            )
        case "RepositoryNotFoundError":
            return UserError(
                f"The hub has no repository {repository}, or does not show it to you",
                hint="Check the name; for a private one `hf auth login` or set HF_TOKEN",
            )
        case "RevisionNotFoundError":
            return UserError(f"{repository} has no revision {revision}", hint="Check `revision` in the profile")
        case "OfflineModeIsEnabled":
            return UserError(
                f"{repository} is not complete on this machine, and HF_HUB_OFFLINE forbids to fetch it",
                hint="Unset HF_HUB_OFFLINE, or copy the model's folder into the hub's cache",
            )
        case "HFValidationError":
            return UserError(f"{repository!r} is no name of a repository", hint="Write it as owner/model")
        case _:
            return UserError(
                f"The model hub did not answer for {repository} ({kind})",
                hint="Check the network and its proxy, and HF_ENDPOINT where it is set; then run this again",
            )
