"""Places in a transformer where activations are read and changed, named as TransformerLens does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from desktop_scope.errors import ScopeError


class Site(StrEnum):
    """A place inside one decoder block; EMBED comes before the first one."""

    EMBED = "hook_embed"  # what the embedding puts out
    RESID_PRE = "hook_resid_pre"  # input of the block
    Z = "attn.hook_z"  # the heads' outputs side by side, before the output projection
    ATTN_RAW = "attn.hook_out"  # the attention module's own output, before any post-norm
    ATTN_OUT = "hook_attn_out"  # what attention adds to the stream, after Gemma's post-norm
    RESID_MID = "hook_resid_mid"  # the stream between attention and MLP
    LN2_NORMALIZED = "ln2.hook_normalized"  # resid_mid over its RMS, before the norm's gain
    MLP_IN = "mlp.hook_in"  # resid_mid after the norm and its gain: what the MLP reads
    MLP_RAW = "mlp.hook_out"  # the MLP module's own output, before any post-norm
    MLP_OUT = "hook_mlp_out"  # what the MLP adds to the stream, after Gemma's post-norm
    RESID_POST = "hook_resid_post"  # output of the block


_ORDER = {site: place for place, site in enumerate(Site)}
_NAME = re.compile(r"blocks\.(\d{1,4})\.(.+)")


@dataclass(frozen=True)
class HookPoint:
    """One site of one block; compares in the order in which a forward pass reaches it."""

    layer: int
    site: Site

    @property
    def name(self) -> str:
        """``blocks.3.hook_resid_post``, or ``hook_embed``."""
        return str(self.site) if self.site is Site.EMBED else f"blocks.{self.layer}.{self.site}"

    def __str__(self) -> str:
        return self.name

    def __lt__(self, other: HookPoint) -> bool:
        return (self.layer, _ORDER[self.site]) < (other.layer, _ORDER[other.site])

    @classmethod
    def parse(cls, name: str) -> HookPoint:
        """Read a TransformerLens hook name.

        Raises:
            ScopeError: It names no place that we know.
        """
        found = _NAME.fullmatch(name)
        try:
            if found is None:
                if Site(name) is not Site.EMBED:
                    raise ValueError
                return cls(0, Site.EMBED)
            return cls(int(found[1]), Site(found[2]))
        except ValueError:
            raise ScopeError(
                f"“{name}” is not a hook that we know.",
                "Write it like blocks.12.hook_resid_post; the sites are: "
                f"{', '.join(site for site in Site)}.",
            ) from None


def resid_post(layer: int) -> HookPoint:
    """The residual stream after a block."""
    return HookPoint(layer, Site.RESID_POST)
