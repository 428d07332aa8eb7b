"""The variational autoencoder as an estimator."""
