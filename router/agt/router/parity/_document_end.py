"""Where a JSON document ends, found while its bytes still come.

A daemon that keeps its connection open after an answer never says "that was all"; the document's own brackets do.
Bytes are looked at once, however they are cut into reads.
"""

import re
from typing import Final

_MARKS: Final = re.compile(rb'["\\\[\]{}]')
_SPACE: Final = b" \t\r\n\xef\xbb\xbf"


class DocumentEnd:
    """Feed it what comes; it tells when a whole object or list has come."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_text = False
        self._escaped = False
        self._bare = False
        self.ended = False
        """Whether the document is whole. Anything after it is not looked at."""

    def feed(self, data: bytes) -> bool:
        """Look at the next bytes; true once the document is whole."""
        if self.ended or self._bare:
            return self._bare_ended(data)
        if not self._depth:
            data = data.lstrip(_SPACE)
            if not data:
                return False
            if data[:1] not in (b"{", b"["):
                self._bare = True  # A number or a word ends with its line.
                return self._bare_ended(data)
        self._scan(data)
        return self.ended

    def _bare_ended(self, data: bytes) -> bool:
        self.ended = self.ended or b"\n" in data
        return self.ended

    def _scan(self, data: bytes) -> None:
        at = 0
        if self._escaped and data:
            self._escaped, at = False, 1
        while (mark := _MARKS.search(data, at)) is not None:
            at = mark.end()
            sign = mark.group()
            if self._in_text:
                if sign == b'"':
                    self._in_text = False
                elif sign == b"\\":
                    self._escaped = at == len(data)
                    at += 1
            elif sign == b'"':
                self._in_text = True
            elif sign in b"[{":
                self._depth += 1
            elif sign in b"]}":
                self._depth -= 1
                if self._depth <= 0:
                    self.ended = True
                    return
