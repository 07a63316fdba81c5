"""How fast the transport is, beside limits written by hand, in one run on one machine."""
