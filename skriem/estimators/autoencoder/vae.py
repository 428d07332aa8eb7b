"""VAETransformer: a variational autoencoder whose codes know their geometry."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ...support.latent import LatentArray, attach_metric
from .base import _VAE


class VAETransformer(_VAE):
    """Variational autoencoder whose codes carry the geometry of its decoder.

    Reduces data to a few latent coordinates, like :class:`sklearn.decomposition.PCA`, with
    neural networks in both directions. The codes that :meth:`transform` returns remember the
    Riemannian metric under which distances between them mean something, and the estimators of
    this package use it.

    Training has two parts, as in Arvanitidis, Hansen and Hauberg, *Latent Space Oddity* (ICLR
    2018). First encoder and mean are fitted with one noise level for all outputs. Then, with
    these held fixed, a precision network of radial basis functions around the codes learns
    how large the noise is where there are data, and that it is large where there are none.

    Parameters
    ----------
    n_components : int, default=2
        Number of latent coordinates.
    hidden_layer_sizes : sequence of int, default=(64, 32)
        Widths of the encoder's hidden layers; the decoder has them in reverse. Both networks
        have a linear connection from input to output besides, which starts as principal
        component analysis.
    activation : {"tanh", "logistic", "softplus"}, default="tanh"
        Smooth activations only: the geometry needs second derivatives.
    likelihood : str, default="gaussian"
        Distribution of the data given the code. "gaussian" and "student_t" (four degrees of
        freedom, for data with outliers): real numbers. "bernoulli": zeros and ones, or shares
        between. "categorical": categories coded 0, 1, 2, ... in every column. "poisson" and
        "negative_binomial" (counts that vary more than their mean): counts.
    prior : {"normal", "mixture", "student_t"} or MixturePrior, default="normal"
        What is assumed of codes. "normal": the standard normal distribution. "mixture": that they
        come in groups, which :meth:`predict` then tells apart, with the defaults of
        :class:`MixturePrior`. "student_t": the same, with heavy tails.
    geometry : {"auto", "expected", "fisher_rao"}, default="auto"
        "expected": distances in the unit of the data, through mean and standard deviation.
        "fisher_rao": how well the distributions of two codes can be told apart, without unit.
        "auto": "expected" for real numbers, "fisher_rao" for all others.
    precision : {"rbf", "mlp", "constant"}, default="rbf"
        How the decoder's noise depends on the code. "rbf": small near the data, large away
        from them. "mlp": as a second perceptron says, which is arbitrary away from the data;
        for comparison. "constant": everywhere the same, so that the metric is the mean's alone.
    n_centers : int or "auto", default="auto"
        Number of radial basis functions. "auto": one for every 8 samples, at most 64.
    bandwidth : float, default=1.0
        Width of a radial basis function, as a multiple of the mean distance of its codes to
        their centre (the `a` of the paper). Smaller values follow the data more closely.
    contrast : float, default=30.0
        How many times the typical noise the noise far from all data is (standard deviations;
        those of negative binomial counts grow by up to its square). Larger values make it
        costlier to leave the data.
    alpha : float, default=1e-5
        L2 penalty on the weights.
    flatness : float, default=0.0
        Weight, in nats per sample, of a penalty on how much the decoder's mean stretches some
        places and directions more than others. With 10 to 100 codes are arranged so that
        straight lines say more, at little cost in likelihood; geodesics then mostly avoid the
        places without data. Logits and logarithms of means are taken for the mean.
    n_neighbors : int, default=0
        With k > 0 the decoder does not learn to return the sample but one of its k nearest
        neighbours, drawn anew in every pass. Codes then forget what neighbours do not share,
        and decoding denoises. Cannot be combined with `early_stopping`.
    attraction : float, default=0.0
        If positive, training goes on for another `max_iter` passes, with neighbours among the
        codes, and a loss of this weight, per feature, that draws codes of neighbours together
        and others apart (InfoNCE). With 1 codes fall into groups as those of UMAP do. Needs
        `n_neighbors`.
    n_importance_samples : int, default=1
        Codes drawn for every sample in training; several make the bound on the likelihood
        tighter (Burda, Grosse and Salakhutdinov, ICLR 2016), under a normal prior.
    n_decoders : int, default=1
        Number of decoders that share the encoder; every batch trains one of them. With several
        the metric is the mean of theirs, `precision`, `bandwidth` and `contrast` are not used,
        and where their slopes differ distances are long.
    image_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of images whose pixels are the features.
        Networks are then convolutional and `hidden_layer_sizes` numbers of channels, each
        after halving the image. The precision network's weights are then smooth over the
        image: they come out of transposed convolutions with positive filters.
    residual : bool, default=False
        Whether hidden layers as wide as the one before add to it what they make of it.
    skip : bool, default=True
        Whether networks have a linear connection from input to output.
    encoder, decoder : callable, default=None
        ``factory(n_inputs, n_outputs)`` that makes a ``torch.nn.Module`` to be used in place of
        ours. An encoder has twice `n_components` outputs: means, then log variances.
    batch_size : int or "auto", default="auto"
        "auto": a tenth of the samples, at least 16 and at most 200.
    learning_rate_init : float, default=3e-3
        Step size of Adam; it falls to zero over the last third of `max_iter`.
    max_iter : int, default=200
        Largest number of passes over the data. The weight of the Kullback-Leibler term rises
        to 1 over the first quarter.
    tol : float, default=1e-3
        Smallest improvement of the loss, in nats per sample, that counts.
    n_iter_no_change : int, default=20
        Training ends after so many passes without an improvement.
    early_stopping : bool, default=False
        Whether to watch the loss of held-out samples instead of the training loss, and keep
        the weights that did best.
    validation_fraction : float, default=0.1
        Share of the samples held out for early stopping.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the previous fit.
    device : str, default="auto"
        Where to train: a torch device, or "auto" for a CUDA device if there is one.
    mixed_precision : bool, default=False
        Whether to multiply matrices in bfloat16 during training: faster on devices made for it,
        with about the same result. What is fitted afterwards is in float64 in either case.
    random_state : int, RandomState instance or None, default=None
        Initial weights, batches and noise. An int makes results reproducible, bit for bit on
        a processor.
    verbose : int, default=0
        Whether to show a bar (tqdm, if installed) or lines with rate, time left and loss.

    Attributes
    ----------
    metric_ : PullbackMetric or MetricField
        Metric of the random decoder; see `geometry`.
    weights_ : ndarray of shape (n_groups,)
        Expected shares of the components of a mixture prior, the largest first; those that are
        not used have shares near zero. As the next two, not there for a normal prior.
    means_ : ndarray of shape (n_groups, n_components)
        Means of the components, which are codes.
    covariances_ : ndarray of shape (n_groups, n_components, n_components)
        Inverses of the components' expected precisions, as in
        :class:`sklearn.mixture.BayesianGaussianMixture`.
    n_iter_ : int
        Passes over the data.
    loss_curve_ : list of float
        Mean training loss, a negative evidence lower bound up to a constant, per pass.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Defined when the data have feature names that are all strings.

    See Also
    --------
    MixturePrior : A prior of codes that come in groups, with its parameters.
    RiemannianKMeans : Clusters codes by geodesic distance.
    GeodesicDistance : Distances between codes for any estimator with precomputed distances.

    Notes
    -----
    Features are centred and divided by one common number, so that the model does not depend
    on the unit of the data but their proportions stay. Put a ``StandardScaler`` before it if
    features are real numbers in different units.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skriem import VAETransformer
    >>> X = load_iris().data
    >>> vae = VAETransformer(random_state=0).fit(X)
    >>> Z = vae.transform(X)
    >>> Z.shape
    (150, 2)
    >>> vae.metric_.distance(Z[:1], Z[50:51]) > 0
    array([ True])
    """

    def transform(self, X: ArrayLike) -> LatentArray:
        return attach_metric(super().transform(X), self.metric_)

    transform.__doc__ = _VAE.transform.__doc__
