"""What SAELens knows of published SAEs that their own ``cfg.json`` does not say.

From ``pretrained_saes.yaml`` of SAELens 6.54.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from desktop_scope.formats.repository import names_of


@dataclass(frozen=True)
class Entry:
    """What is known of one SAE.

    Attributes:
        centred: The model's writing weights are to be centred.
        norm: How activations are normalised; empty to go by ``cfg.json``.
        factor: What activations are multiplied by, if they are normalised by their average.
    """

    centred: bool = False
    norm: str = ""
    factor: float | None = None


_REPOSITORIES = {
    "GPT2-Small-SAEs-Reformatted": Entry(centred=True),
    "GPT2-Small-Feature-Splitting-Experiment-Layer-8": Entry(centred=True),
    "gpt2-small-mlp-out-saes": Entry(centred=True),
    "Mistral-7B-Residual-Stream-SAEs": Entry(norm="constant_norm_rescale"),
}
_FACTORS = {
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.0.hook_mlp_out_24576"): 1.049317316132615,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.1.hook_mlp_out_24576"): 2.3693984005104283,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.2.hook_mlp_out_24576"): 1.6411934982190302,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.3.hook_mlp_out_24576"): 1.8958522157897557,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.4.hook_mlp_out_24576"): 1.81673478700627,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.5.hook_mlp_out_24576"): 1.550234472245924,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.6.hook_mlp_out_24576"): 1.3237742807210804,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.7.hook_mlp_out_24576"): 1.1042905114723296,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.8.hook_mlp_out_24576"): 0.9123762783479742,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.9.hook_mlp_out_24576"): 0.6955335635232373,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.10.hook_mlp_out_24576"): 0.3619728926727644,
    ("gpt2-small-mlp-out-saes", "sae_group_gpt2_blocks.11.hook_mlp_out_24576"): 0.2851548652550073,
    (
        "Gemma-2b-Residual-Stream-SAEs",
        "gemma_2b_blocks.12.hook_resid_post_16384",
    ): 0.21381938399317255,
}


def entry(path: Path) -> Entry:
    """What is known of the SAE in a folder, by the names of that and of its repository."""
    names = names_of(path)
    found = next((_REPOSITORIES[name] for name in names if name in _REPOSITORIES), Entry())
    folder = names[-1].partition(":")[0]  # after which comes a version
    factors = (_FACTORS.get((name, folder)) for name in names)
    return replace(found, factor=next(filter(None, factors), None))
