"""Who is on the other end, and may they say so: TLS, pre-shared keys, and the door of a listener."""

from agt.transport._refusal import Refusal
from agt.transport.trust._certificates import CertificateNames, PeerCertificate, certificate_names
from agt.transport.trust._challenge import MAGIC
from agt.transport.trust._dialling_key import DiallingKey, KeySource
from agt.transport.trust._door import Caller, Door
from agt.transport.trust._half_open import AdmissionLimits, HalfOpenBudget
from agt.transport.trust._key_layer import AcceptingLayer, DiallingLayer, KeyLayer, NotProven
from agt.transport.trust._keyed_acceptor import KeyedAcceptor
from agt.transport.trust._keyed_link import KeyedLink
from agt.transport.trust._keys import KeyFile, KeyRing, PreSharedKey, new_runtime_nonce, write_key_file
from agt.transport.trust._parting import part
from agt.transport.trust._records import RecordReader, RecordWriter, WrongTag
from agt.transport.trust._tls_connection import TLSConnection
from agt.transport.trust._tls_contexts import tls_client_context, tls_server_context
from agt.transport.trust._tls_layer import TLSFailure, TLSLayer
from agt.transport.trust._tls_stream import TLSByteStream

__all__ = (
    "MAGIC",
    "AcceptingLayer",
    "AdmissionLimits",
    "Caller",
    "CertificateNames",
    "DiallingKey",
    "DiallingLayer",
    "Door",
    "HalfOpenBudget",
    "KeyFile",
    "KeyLayer",
    "KeyRing",
    "KeySource",
    "KeyedAcceptor",
    "KeyedLink",
    "NotProven",
    "PeerCertificate",
    "PreSharedKey",
    "RecordReader",
    "RecordWriter",
    "Refusal",
    "TLSByteStream",
    "TLSConnection",
    "TLSFailure",
    "TLSLayer",
    "WrongTag",
    "certificate_names",
    "new_runtime_nonce",
    "part",
    "tls_client_context",
    "tls_server_context",
    "write_key_file",
)
