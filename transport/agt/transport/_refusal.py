"""Why a caller was not let in: a fixed set of reasons, so that counting them takes bounded memory."""

import enum


class Refusal(enum.StrEnum):
    """Why a connection ended before its peer was admitted."""

    TOO_MANY = "too_many_connections"
    """The listener serves `max_connections` already."""
    MADE_ROOM = "made_room"
    """It was slow to say who it is while others waited for its place in the door."""
    CROWDED = "crowded"
    """Too many were on their way in, from its address or in all, and none of them was slow."""
    SILENT = "silent"
    """It did not say who it is within the hello timeout, or hung up before."""
    SENSELESS = "senseless"
    """What it said is no hello of this wire."""
    USER = "user"
    """It called on our Unix socket as another user."""
    TLS = "tls"
    """The TLS handshake failed: no certificate, an untrusted one, no common version."""
    KEY = "key"
    """It offered no key, an unknown one, or did not prove that it has it."""
    NAME = "name"
    """It claimed a name that its certificate or key does not allow, or that is not registered."""
    BUSY = "busy"
    """It came over the connect budget and was told when to come back."""
    FENCED = "fenced"
    """A newer process has its name, it speaks no version of ours, or there is no room for another sender."""
