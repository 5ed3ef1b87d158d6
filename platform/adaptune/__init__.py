"""adaptune: searches the loss weights of CycleGAN and CyCADA."""

__version__ = "0.1.0"
