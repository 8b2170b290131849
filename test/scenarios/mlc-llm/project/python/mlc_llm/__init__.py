"""Stands for mlc_llm: Python's side of the library that is beside it."""

import ctypes
import os

_library = ctypes.CDLL(os.path.join(os.path.dirname(__file__), "libmlc_llm.so"))
_library.mlc_llm_version.restype = ctypes.c_char_p

__version__ = _library.mlc_llm_version().decode()
