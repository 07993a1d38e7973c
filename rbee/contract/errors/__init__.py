"""Everything that can go wrong, each thing once: code, HTTP status, message and advice.

A program raises one of these; `rbee.runtime.server` turns it into HTTP, `rbee.runtime.client`
turns HTTP back into it, and the keeper shows `message` and `advice` to the person.

    RbeeError
    ├── NodeNotFound, SshConnectionFailed, ConnectionTimeout, VersionMismatch, PortBlocked  (nodes)
    ├── ModelNotFound, ModelGated, ModelInUse, DownloadFailed, ChecksumMismatch, DiskFull,
    │   ModelCorrupt, UnsupportedModelFormat, InvalidModelRef                         (models)
    ├── VramExhausted, BackendUnavailable, LoadingTimeout, WorkerCrashed             (workers)
    ├── InvalidRequest, PromptTooLong, InvalidApiKey, NotFound                       (requests)
    ├── AllSlotsBusy, QueueFull, ShuttingDown, RequestCanceled, StreamTruncated       (streams)
    └── AddressInUse, ConfigInvalid, StateNotWritable, ProgramFailed, Internal,      (programs)
        NotOurs

On the wire: `{"error": {"code", "message", "details": {…}}}`. The keys of the details are the
class's `keys`; a raise that forgets one is a TypeError, so that no caller has to look before use.
"""

from __future__ import annotations

from rbee.contract.envelope import ErrorBody as ErrorBody
from rbee.contract.envelope import ErrorEnvelope as ErrorEnvelope
from rbee.contract.envelope import RbeeError as RbeeError
from rbee.contract.errors.models import ChecksumMismatch as ChecksumMismatch
from rbee.contract.errors.models import DiskFull as DiskFull
from rbee.contract.errors.models import DownloadFailed as DownloadFailed
from rbee.contract.errors.models import InvalidModelRef as InvalidModelRef
from rbee.contract.errors.models import ModelCorrupt as ModelCorrupt
from rbee.contract.errors.models import ModelGated as ModelGated
from rbee.contract.errors.models import ModelInUse as ModelInUse
from rbee.contract.errors.models import ModelNotFound as ModelNotFound
from rbee.contract.errors.models import UnsupportedModelFormat as UnsupportedModelFormat
from rbee.contract.errors.nodes import ConnectionTimeout as ConnectionTimeout
from rbee.contract.errors.nodes import NodeNotFound as NodeNotFound
from rbee.contract.errors.nodes import PortBlocked as PortBlocked
from rbee.contract.errors.nodes import SshConnectionFailed as SshConnectionFailed
from rbee.contract.errors.nodes import VersionMismatch as VersionMismatch
from rbee.contract.errors.programs import AddressInUse as AddressInUse
from rbee.contract.errors.programs import ConfigInvalid as ConfigInvalid
from rbee.contract.errors.programs import Internal as Internal
from rbee.contract.errors.programs import NotOurs as NotOurs
from rbee.contract.errors.programs import ProgramFailed as ProgramFailed
from rbee.contract.errors.programs import StateNotWritable as StateNotWritable
from rbee.contract.errors.requests import InvalidApiKey as InvalidApiKey
from rbee.contract.errors.requests import InvalidRequest as InvalidRequest
from rbee.contract.errors.requests import NotFound as NotFound
from rbee.contract.errors.requests import PromptTooLong as PromptTooLong
from rbee.contract.errors.streams import AllSlotsBusy as AllSlotsBusy
from rbee.contract.errors.streams import QueueFull as QueueFull
from rbee.contract.errors.streams import RequestCanceled as RequestCanceled
from rbee.contract.errors.streams import ShuttingDown as ShuttingDown
from rbee.contract.errors.streams import StreamTruncated as StreamTruncated
from rbee.contract.errors.workers import BackendUnavailable as BackendUnavailable
from rbee.contract.errors.workers import LoadingTimeout as LoadingTimeout
from rbee.contract.errors.workers import VramExhausted as VramExhausted
from rbee.contract.errors.workers import WorkerCrashed as WorkerCrashed
