"""Cut the beginning off a file that somebody else is appending to, without losing a byte of what they write.

The kernel can take whole blocks out of a file's beginning in one step (fallocate, FALLOC_FL_COLLAPSE_RANGE; ext4 and
xfs do). Elsewhere a copied log can only be emptied, and what is written between the copy and that is lost: the caller
says so.
"""

import ctypes
import os
from typing import Final

_COLLAPSE_RANGE: Final = 0x08


def cut_beginning(descriptor: int, size: int) -> int | None:
    """Remove up to `size` bytes from a file's beginning, in whole blocks, and return how many; None if that can't be.

    At least one byte stays, as the kernel wants it.
    """
    found = os.fstat(descriptor)
    block = max(found.st_blksize, 1)
    whole = min(size, found.st_size - 1) // block * block
    if whole <= 0:
        return 0
    fallocate = getattr(_libc(), "fallocate", None)
    if fallocate is None:
        return None
    done = fallocate(ctypes.c_int(descriptor), ctypes.c_int(_COLLAPSE_RANGE), ctypes.c_int64(0), ctypes.c_int64(whole))
    return whole if done == 0 else None


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
