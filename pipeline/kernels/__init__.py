"""Compiled code: C++ sources, how they are built and called, and what the processor can do."""
