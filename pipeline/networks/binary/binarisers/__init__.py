"""How weights and activations become bits (Eq. 1), one file for each way."""
