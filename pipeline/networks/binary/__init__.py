"""Binary layers: how values become bits, the convolutions of them, and the same fused with what leads to it."""
