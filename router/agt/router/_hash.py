"""The two hashes that place a device, spelled out so that no release re-buckets anyone by accident.

FNV-1a 32 is document 002's hash. Its low bits of similar ids are related, which does no harm in one rollout
but would make two salted rollouts pick related devices; murmur3's finaliser breaks that.
"""

_FNV_OFFSET_32 = 0x811C9DC5
_FNV_PRIME_32 = 0x01000193
_MASK_32 = 0xFFFFFFFF


def fnv1a_32(data: bytes) -> int:
    """Return the FNV-1a hash of some bytes, 0 to 2**32 - 1."""
    value = _FNV_OFFSET_32
    for byte in data:
        value = ((value ^ byte) * _FNV_PRIME_32) & _MASK_32
    return value


def fmix32(value: int) -> int:
    """Return murmur3's 32-bit finaliser of a hash: every input bit reaches every output bit."""
    value ^= value >> 16
    value = (value * 0x85EBCA6B) & _MASK_32
    value ^= value >> 13
    value = (value * 0xC2B2AE35) & _MASK_32
    return value ^ (value >> 16)
