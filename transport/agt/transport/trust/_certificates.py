"""Which sender names a certificate may claim: by default those that it was issued for.

A certificate that a trusted authority has signed says *that* the peer may talk to us; the names in it say *as whom*.
Without the second, any device could take over any other's session with its own, valid, certificate.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

PeerCertificate: TypeAlias = Mapping[str, Any]
"""A verified certificate as `ssl.SSLSocket.getpeercert` returns it."""
CertificateNames: TypeAlias = Callable[[PeerCertificate], frozenset[str]]
"""Says which sender names a certificate may claim."""

_NAME_KINDS = frozenset({"DNS", "URI"})


def certificate_names(certificate: PeerCertificate) -> frozenset[str]:
    """Return the names that a certificate was issued for, taken literally: no wildcards.

    These are its subject alternative names (DNS and URI), or the common names of its subject where it has none.
    """
    alternative = {value for kind, value in certificate.get("subjectAltName", ()) if kind in _NAME_KINDS}
    if alternative:
        return frozenset(alternative)
    return frozenset(value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName")
