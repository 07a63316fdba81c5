"""How packets look, one package a wire: `native` is ours, `cync` and `lines` are what legacy devices speak."""

__all__ = ()
