"""Values of foreign packages: how numpy, pandas, polars and pyarrow write them canonically.

A generic encoding would follow how a value came to be: views, blocks, chunks, unused categories. What is written here follows only
what a value *is*, so equal frames have one id however they were built. A codec turns a value into a *state* of plain data, of
`Buffer`s for long runs of bytes, and of other values; the extension `CODEC` holds `[name, state]`.

Nothing here imports a foreign package. The module of a codec is loaded when a value of the package is met, or read.
"""

from __future__ import annotations

from redun.codecs.buffer import INLINE_BUFFER_MAX, Buffer
from redun.codecs.registry import Codec, NotCanonical, codec_for, revive

__all__ = ["INLINE_BUFFER_MAX", "Buffer", "Codec", "NotCanonical", "codec_for", "revive"]
