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
    network : sequence of int, Perceptron, Convolutional or Modules, default=(64, 32)
        Networks of encoder and decoder. Numbers are the widths of a perceptron's hidden layers,
        which the decoder has in reverse. :class:`Convolutional` is for images, :class:`Modules`
        for torch modules of your own.
    likelihood : str or dict, default="gaussian"
        Distribution of the data given the code. "gaussian" and "student_t" (four degrees of
        freedom, for data with outliers): real numbers. "bernoulli": zeros and ones, or shares
        between. "categorical": categories coded 0, 1, 2, ... in every column. "poisson" and
        "negative_binomial" (counts that vary more than their mean): counts. A dict from names or
        places of columns to these, or "auto" for all, gives each column of a table its own.
    prior : {"normal", "mixture", "student_t", "dynamics"}, MixturePrior or DynamicsPrior, \
            default="normal"
        What is assumed of codes. "normal": the standard normal distribution. "mixture": that they
        come in groups, which :meth:`predict` then tells apart, with the defaults of
        :class:`MixturePrior`. "student_t": the same, with heavy tails. "dynamics": that they come
        one after the other, rows being steps of sequences that `groups` tells apart, with the
        defaults of :class:`DynamicsPrior`.
    geometry : {"auto", "expected", "fisher_rao"}, default="auto"
        "expected": distances in the unit of the data, through mean and standard deviation.
        "fisher_rao": how well the distributions of two codes can be told apart, without unit.
        "auto": "expected" for real numbers, "fisher_rao" for all others. Where columns have
        likelihoods of their own squared lengths add up, those of real numbers in units of their
        column's noise.
    noise : {"rbf", "mlp", "constant"}, RBFNoise or DecoderEnsemble, default="rbf"
        How the decoder's noise depends on the code. "rbf": small near the data, large away from
        them, with the defaults of :class:`RBFNoise`. "mlp": as a second perceptron says, which is
        arbitrary away from the data; for comparison. "constant": everywhere the same, so that the
        metric is the mean's alone. :class:`DecoderEnsemble`: several decoders, whose disagreement
        makes distances long.
    neighbors : int or Neighbors, default=None
        With a number the decoder does not learn to return the sample but one of so many nearest
        neighbours; :class:`Neighbors` can draw codes of neighbours together besides.
    alpha : float, default=1e-5
        L2 penalty on the weights.
    flatness : float, default=0.0
        Weight, in nats per sample, of a penalty on how much the decoder's mean stretches some
        places and directions more than others. With 10 to 100 codes are arranged so that
        straight lines say more, at little cost in likelihood; geodesics then mostly avoid the
        places without data. Logits and logarithms of means are taken for the mean.
    n_importance_samples : int, default=1
        Codes drawn for every sample in training; several make the bound on the likelihood
        tighter (Burda, Grosse and Salakhutdinov, ICLR 2016), under a normal prior.
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
    transition_matrix_ : ndarray of shape (n_states, n_states)
        Expected slope of a state in the one before, for ``prior="dynamics"``, as the next four;
        the first `n_components` entries of a state are the code.
    transition_offset_ : ndarray of shape (n_states,)
        What is added.
    transition_covariance_ : ndarray of shape (n_states, n_states)
        Inverse of the expected precision of the noise that is added.
    initial_mean_ : ndarray of shape (n_states,)
        Mean of the first state of a sequence.
    initial_covariance_ : ndarray of shape (n_states, n_states)
        Inverse of its expected precision.
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
    Perceptron, Convolutional, Modules : Networks, with their parameters.
    RBFNoise, DecoderEnsemble : What makes distances away from the data long.
    Neighbors : Codes that fall into groups.
    MixturePrior : A prior of codes that come in groups.
    DynamicsPrior : A prior of codes that come one after the other.
    RiemannianKMeans : Clusters codes by geodesic distance.
    GeodesicDistance : Distances between codes for any estimator with precomputed distances.

    Notes
    -----
    Features are centred and divided by one common number, so that the model does not depend
    on the unit of the data but their proportions stay. Put a ``StandardScaler`` before it if
    features are real numbers in different units.

    With ``likelihood="auto"``, or a dict, data may be a data frame with names, categories,
    booleans, dates and gaps, and every column has a unit of its own. Names and categories become
    "categorical"; booleans, zeros and ones "bernoulli"; whole numbers from zero, of which a tenth
    or more are zero and five or more differ, "negative_binomial"; all else "gaussian". Names that
    are different nearly everywhere are left out, with a warning. Categories that were not there
    in ``fit`` are missing entries, with a warning. ``inverse_transform``, ``sample``, ``impute``
    and ``forecast`` return frames with the columns and types of the one in ``fit``, whole
    numbers rounded.

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

    def transform(self, X: ArrayLike, groups: ArrayLike | None = None) -> LatentArray:
        return attach_metric(super().transform(X, groups), self.metric_)

    transform.__doc__ = _VAE.transform.__doc__
