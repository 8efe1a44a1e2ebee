"""From a pack to a running engine."""

from __future__ import annotations

import torch

from desktop_scope.engine.engine import Engine
from desktop_scope.engine.model import load_model
from desktop_scope.engine.requests import LoadModel
from desktop_scope.engine.sae import Sae
from desktop_scope.engine.worker import Job
from desktop_scope.formats import open_sae
from desktop_scope.library.demo_model import model_of
from desktop_scope.library.model_cache import ensure_model
from desktop_scope.library.pack import read_pack


def open_engine(request: LoadModel, job: Job) -> Engine:
    """Load a pack's model and the SAE of every layer.

    Raises:
        ScopeError: The pack, the model or an SAE is missing, damaged or does not fit.
        Cancelled: The job was.
    """
    pack = read_pack(request.pack)
    if request.gguf is None:
        folder = model_of(pack, job.progress, job.check)
    else:
        folder = ensure_model(request.gguf, pack.model.gguf_sha256, job.progress, job.check)
    model = load_model(
        folder,
        pack.model.id,
        job,
        request.device,
        request.dtype,
        request.spare_cores,
        pack.token_mask.raw_first_token,
    )
    saes = []
    with torch.inference_mode():
        for path in pack.sae_files(request.pack):
            job.progress(len(saes), pack.model.n_layers, "Opening the autoencoders")
            saes.append(Sae(open_sae(path), model.device, model.info.packed))
    factor = pack.token_mask.outlier_factor
    return Engine(model, saes, [factor * norm for norm in pack.token_mask.median_norm])
