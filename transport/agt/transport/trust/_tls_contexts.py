"""TLS settings out of files, with defaults that need no thought: TLS 1.2 and newer, verification on.

A certificate that can't work is found here, when the process starts, and not by the first peer: the files are read
one by one, so that an error names the one that is wrong, and our own certificate then shakes hands with itself in
memory, which also tells an expired one.
"""

import os
import ssl
from pathlib import Path
from typing import NoReturn

from agt.transport._errors import BadCredential
from agt.transport.trust._tls_layer import TLSFailure, TLSLayer

FilePath = str | os.PathLike[str]


def tls_server_context(
    certificate: FilePath,
    key: FilePath | None = None,
    *,
    client_ca: FilePath | None = None,
    password: str | None = None,
) -> ssl.SSLContext:
    """Make the settings of a listener.

    To renew a certificate without a restart, replace the files and call `load_cert_chain` on the same context:
    connections from then on are greeted with the new one.

    Args:
        certificate: our certificate, then those of the authorities between it and the root (PEM).
        key: its private key (PEM); None when it is in the same file.
        client_ca: the authorities that sign our clients' certificates (PEM). When given, a client must show one.
        password: what the private key is encrypted with.

    Raises:
        BadCredential: naming the file, with the way out.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    _load_own(context, certificate, key, password)
    if client_ca is not None:
        _load_authorities(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    _check_own(certificate, key, password, as_server=True)
    return context


def tls_client_context(
    *,
    ca: FilePath | None = None,
    certificate: FilePath | None = None,
    key: FilePath | None = None,
    password: str | None = None,
) -> ssl.SSLContext:
    """Make the settings of a dialling side.

    Args:
        ca: the authorities that we trust to sign the server's certificate (PEM); the system's when None.
        certificate: what we show to a server that asks (PEM); its names say which sender names we may claim there.
        key: its private key (PEM); None when it is in the same file.
        password: what the private key is encrypted with.

    Raises:
        BadCredential: naming the file, with the way out.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # Verifies the certificate and its names from the start.
    _harden(context)
    if ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_authorities(context, ca)
    if certificate is not None:
        _load_own(context, certificate, key, password)
        _check_own(certificate, key, password, as_server=False)
    elif key is not None:
        raise BadCredential(str(key), "a key without its certificate; give `certificate`, too")
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _load_authorities(context: ssl.SSLContext, ca: FilePath) -> None:
    _check_readable(ca, "authorities")
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError as error:
        raise BadCredential(str(ca), "holds no certificate in PEM form") from error


def _load_own(context: ssl.SSLContext, certificate: FilePath, key: FilePath | None, password: str | None) -> None:
    _check_readable(certificate, "certificate")
    if key is not None:
        _check_readable(key, "private key")

    asked = False

    def ask() -> str:
        nonlocal asked
        asked = True
        if password is None:  # OpenSSL would ask at the terminal, and a daemon would wait there for ever.
            _complain(key or certificate, "the private key is encrypted; give its `password`")
        return password

    try:
        context.load_cert_chain(certificate, key, ask)
    except ssl.SSLError as error:
        reason = error.reason or ""
        if "MISMATCH" in reason:
            raise BadCredential(str(key or certificate), f"is not the private key of {certificate}") from error
        if asked:
            raise BadCredential(str(key or certificate), "the password does not open the private key") from error
        raise BadCredential(
            str(key or certificate), f"no usable pair of certificate and private key in PEM form with {certificate}"
        ) from error


def _check_readable(path: FilePath, what: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise BadCredential(str(path), f"the {what} can't be read: {os.strerror(error.errno or 0).lower()}") from error


def _complain(path: FilePath, why: str) -> NoReturn:
    raise BadCredential(str(path), why)


def _check_own(certificate: FilePath, key: FilePath | None, password: str | None, *, as_server: bool) -> None:
    """Have our certificate judged by somebody who trusts it: what is wrong then is its time or its purpose."""
    judge = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if as_server else ssl.PROTOCOL_TLS_SERVER)
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if as_server else ssl.PROTOCOL_TLS_CLIENT)
    for context in (judge, shown):
        if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
            context.check_hostname = False
        _load_own(context, certificate, key, password)  # A server needs one to shake hands at all.
    shown.verify_mode = ssl.CERT_NONE  # In memory, with ourselves; who is judged judges nobody.
    judge.verify_mode = ssl.CERT_REQUIRED
    judge.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    judge.load_verify_locations(cafile=certificate)
    ends = (TLSLayer(judge, server_side=not as_server), TLSLayer(shown, server_side=as_server))
    try:
        for _ in range(4):  # A handshake takes two rounds at most; the rest is for what comes after it.
            for taker, giver in (ends, ends[::-1]):
                taker.receive_data(giver.data_to_send())
    except TLSFailure as error:
        raise BadCredential(str(certificate), str(error).removeprefix("its certificate ")) from error
