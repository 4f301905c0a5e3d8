"""Networks of this library as networks of Keras' own layers, which need it no longer."""

from deel_seg.vanilla.plain_network import plain_network

__all__ = ["plain_network"]
