"""The networks: the only room of the live path that imports torch and nnU-Net."""
