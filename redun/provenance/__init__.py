"""The read side: what ran, from what, and why; typed, read-only, and free of formatting.

`Provenance.open()` answers, or `Provenance(scheduler.store)`;
the other names are what it answers with. `redun log` is written with nothing else, and
notebooks may use the same.
"""

from redun.provenance.dataflow import Hop, Section, Step, Variable
from redun.provenance.errors import AmbiguousId, NotRecorded, NotTrusted
from redun.provenance.lookup import is_id_prefix
from redun.provenance.model import (
    Argument,
    Attempt,
    Call,
    Candidate,
    Execution,
    FailureInfo,
    FileUse,
    Job,
    Output,
    Task,
    Value,
    Written,
)
from redun.provenance.provenance import Provenance, StoreView, matches_name
from redun.provenance.reach import Thing
from redun.provenance.tags import Tags, entity_of, matches
from redun.store.journal import Status

__all__ = [
    "AmbiguousId",
    "Argument",
    "Attempt",
    "Call",
    "Candidate",
    "Execution",
    "FailureInfo",
    "FileUse",
    "Hop",
    "Job",
    "NotRecorded",
    "NotTrusted",
    "Output",
    "Provenance",
    "Section",
    "Status",
    "Step",
    "StoreView",
    "Tags",
    "Task",
    "Thing",
    "Value",
    "Variable",
    "Written",
    "entity_of",
    "is_id_prefix",
    "matches",
    "matches_name",
]
