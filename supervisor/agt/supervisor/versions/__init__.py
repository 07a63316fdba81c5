"""The version matrix: which version of each component runs on control and on candidate, asked of the components."""

from agt.supervisor.versions._ask import ask_versions
from agt.supervisor.versions._matrix import (
    DOCUMENT_COMPONENTS,
    Asked,
    MatrixFile,
    MatrixInvalid,
    MatrixRow,
    VersionMatrix,
    build_matrix,
    load_matrix_file,
    matrix_page,
)

__all__ = (
    "DOCUMENT_COMPONENTS",
    "Asked",
    "MatrixFile",
    "MatrixInvalid",
    "MatrixRow",
    "VersionMatrix",
    "ask_versions",
    "build_matrix",
    "load_matrix_file",
    "matrix_page",
)
