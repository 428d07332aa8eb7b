"""Networks of the variational autoencoder, as plain functions on torch tensors."""
