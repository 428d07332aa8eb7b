"""Pictures: what they draw and what they refuse to draw."""

import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.legend import Legend
from sklearn.datasets import load_iris, make_blobs
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from suites import thorough

from skriem import (
    GeodesicDistance,
    MixturePrior,
    NeighborEncoder,
    RBFNoise,
    RiemannianKMeans,
    RiemannianNormal,
    RiemannianSingleLinkage,
    VAETransformer,
)
from skriem.geometry import PullbackMetric
from skriem.inspection import (
    DendrogramDisplay,
    DensityDisplay,
    GeodesicDisplay,
    LatentSpaceDisplay,
)

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from skriem.inspection._style import far_from  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def plane(n_dims=2):
    """A flat space: half the coordinates' distance."""
    return PullbackMetric(Half(), n_dims)


class Half:
    fingerprint = "half"

    def __call__(self, z):
        return 0.5 * z


@pytest.fixture(scope="module")
def kmeans(digits_vae):
    return RiemannianKMeans(3, random_state=0).fit(digits_vae[1])


def stars(ax):
    drawn = [one for one in ax.collections if hasattr(one, "get_sizes")]
    return [one for one in drawn if one.get_sizes().tolist() == [150.0]]


def test_clusters_over_the_magnification_factor(kmeans, digits_vae):
    codes = digits_vae[1]
    display = LatentSpaceDisplay.from_estimator(kmeans, codes, grid_resolution=30)
    assert display.figure_ is display.ax_.figure
    np.testing.assert_array_equal(display.labels, kmeans.predict(codes))
    np.testing.assert_array_equal(stars(display.ax_)[0].get_offsets(), kmeans.cluster_centers_)
    assert display.curves.shape == (30, 60, 2)
    np.testing.assert_allclose(display.curves[:, 0], np.repeat(kmeans.cluster_centers_, 10, axis=0))
    image = display.ax_.images[0].get_array()
    low, high = display.extent
    corner = kmeans.metric_.log_volume(np.array([[low[0], high[1]]]))[0] / np.log(10.0)
    assert image[-1, 0] == pytest.approx(corner)
    assert len(display.ax_.get_legend().get_texts()) == 3


@pytest.mark.slow
def test_components_of_a_prior_are_ellipses(digits):
    vae = VAETransformer(
        prior=MixturePrior(3), noise=RBFNoise(bandwidth=2.0), max_iter=4, random_state=0
    ).fit(digits[0])
    display = LatentSpaceDisplay.from_estimator(vae, digits[0], background=None, n_geodesics=0)
    n_used = vae.predict(digits[0]).max() + 1
    ellipses = [np.array(line.get_data()).T for line in display.ax_.lines if line.get_ls() == "--"]
    assert len(ellipses) == n_used == len(display.covariances)
    for points, mean, covariance in zip(ellipses, vae.means_, vae.covariances_):
        off = points - mean
        squares = np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance), off)
        np.testing.assert_allclose(squares, 4.0)


def test_a_curve_has_the_colour_of_the_points_it_ends_in(kmeans, digits_vae):
    display = LatentSpaceDisplay.from_estimator(kmeans, digits_vae[1], grid_resolution=5)
    colors = {
        drawn.get_label(): matplotlib.colors.to_hex(drawn.get_facecolor()[0])
        for drawn in display.ax_.collections
    }
    for k, line in zip(display.curve_labels, display.ax_.lines[1::2]):
        assert line.get_color() == colors[str(k)]
    # Labels of another kind are no clusters.
    display = LatentSpaceDisplay.from_estimator(
        kmeans, digits_vae[1], kmeans.labels_[::-1], grid_resolution=5
    )
    assert {line.get_color() for line in display.ax_.lines[1::2]} == {"white"}


def test_noise_is_small_at_the_data(digits_vae):
    vae, codes = digits_vae
    display = LatentSpaceDisplay.from_estimator(
        vae, codes, background="noise", n_geodesics=0, grid_resolution=20
    )
    assert display.curves is None
    at_data = np.log10(np.sqrt((vae.metric_.embed(np.asarray(codes))[:, 64:] ** 2).mean(1)))
    assert np.median(at_data) < display.values.max() - 0.5
    assert display.values.min() > at_data.min() - 0.3


def test_data_are_encoded_and_codes_are_not(digits_vae, digits):
    vae, codes = digits_vae
    for X in (digits[0], codes):
        display = LatentSpaceDisplay.from_estimator(vae, X, n_geodesics=0, grid_resolution=3)
        np.testing.assert_allclose(display.points, codes)


def test_labels_of_any_kind(digits_vae, digits):
    vae, codes = digits_vae
    options = {"n_geodesics": 0, "background": None}
    for y in (digits[1], digits[1].astype(str), digits[1] == 0):
        display = LatentSpaceDisplay.from_estimator(vae, codes, y, **options)
        names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
        assert names == [str(name) for name in np.unique(y)]
    display = LatentSpaceDisplay.from_estimator(vae, codes, codes[:, 0] + 0.1, **options)
    assert display.ax_.get_legend() is None
    assert len(display.figure_.axes) == 2  # a colour bar
    with pytest.raises(ValueError, match="one value per point"):
        LatentSpaceDisplay.from_estimator(vae, codes, [0, 1], **options)


@pytest.mark.parametrize("n_dims", [1, 2, 3, 5])
def test_any_number_of_dimensions(n_dims):
    Z = make_blobs(40, n_dims, random_state=0)[0]
    display = LatentSpaceDisplay.from_metric(plane(n_dims), Z, grid_resolution=10)
    name = display.ax_.get_xlabel()
    assert name.startswith("coordinate 1" if n_dims <= 3 else "principal component 1 of")
    assert display.ax_.name == ("3d" if n_dims == 3 else "rectilinear")
    assert (display.values is not None) == (n_dims <= 2)
    if n_dims <= 2:
        np.testing.assert_allclose(display.values, n_dims * np.log10(0.5))
    display.figure_.canvas.draw()


def test_axes_may_be_given(digits_vae):
    vae, codes = digits_vae
    _, axes = plt.subplots(1, 2)
    display = LatentSpaceDisplay.from_estimator(vae, codes, n_geodesics=0, ax=axes[1])
    assert display.ax_ is axes[1]
    assert not axes[0].collections
    again = display.plot()
    assert again is display
    assert display.ax_ is not axes[1]
    with pytest.raises(ValueError, match="three-dimensional axes"):
        LatentSpaceDisplay.from_metric(plane(3), np.eye(3), ax=axes[0])


@pytest.mark.slow
def test_pipelines(digits):
    X, y = digits[0][:90], digits[1][:90]
    vae = VAETransformer(max_iter=10, noise=RBFNoise(bandwidth=3.0, contrast=5), random_state=0)
    options = {"n_geodesics": 2, "grid_resolution": 5}
    pipe = make_pipeline(StandardScaler(), vae, RiemannianKMeans(3, random_state=0)).fit(X)
    display = LatentSpaceDisplay.from_estimator(pipe, X, **options)
    np.testing.assert_array_equal(display.labels, pipe.predict(X))
    classifier = KNeighborsClassifier(metric="precomputed")
    pipe = make_pipeline(vae, GeodesicDistance(method="grid"), classifier).fit(X, y)
    display = LatentSpaceDisplay.from_estimator(pipe, X, **options)
    np.testing.assert_array_equal(display.labels, pipe.predict(X))
    assert display.points.shape == (90, 2)


def test_the_drop_in_shows_the_data_themselves():
    X = make_blobs(80, random_state=0)[0]
    kmeans = RiemannianKMeans(3, metric=NeighborEncoder(power=2), random_state=0).fit(X)
    display = LatentSpaceDisplay.from_estimator(kmeans, X, grid_resolution=20)
    np.testing.assert_array_equal(display.points, X)
    display.figure_.canvas.draw()
    with pytest.raises(ValueError, match="has no noise to show"):
        LatentSpaceDisplay.from_estimator(kmeans, X, background="noise")


def test_what_has_no_metric_is_refused(digits):
    with pytest.raises(TypeError, match="no fitted metric to draw"):
        LatentSpaceDisplay.from_estimator(GaussianMixture().fit(digits[0]), digits[0])
    with pytest.raises(TypeError, match="no fitted metric to draw"):
        LatentSpaceDisplay.from_estimator(make_pipeline(StandardScaler()).fit(digits[0]), digits[0])
    with pytest.raises(ValueError, match="not fitted yet"):
        LatentSpaceDisplay.from_estimator(VAETransformer(), digits[0])
    with pytest.raises(ValueError, match="background must be one of"):
        LatentSpaceDisplay.from_metric(plane(), np.eye(2), background="curvature")


def test_frames_begin_and_end_with_the_samples(digits_vae, digits):
    vae, X = digits_vae[0], digits[0]
    display = GeodesicDisplay.from_estimator(vae, X[0], X[1], n_frames=5)
    assert display.frames.shape == (2, 5, 64)
    assert display.image_shape == (8, 8)
    ends = vae.inverse_transform(vae.transform(X[:2]))
    for frames in display.frames:
        np.testing.assert_allclose(frames[[0, -1]], ends, atol=1e-6)
    codes = np.asarray(vae.transform(X[:2]))
    expected = vae.metric_.distance(codes[:1], codes[1:])[0]
    assert display.lengths[0] == pytest.approx(expected, rel=1e-3)
    assert display.lengths[0] <= display.lengths[1]
    assert display.ax_.get_yticklabels()[0].get_text() == f"geodesic\nlength {expected:.4g}"


def test_frames_in_the_units_of_the_data(digits):
    X = digits[0][:90]
    vae = VAETransformer(max_iter=10, noise=RBFNoise(bandwidth=3.0, contrast=5), random_state=0)
    pipe = make_pipeline(StandardScaler(), vae).fit(X)
    display = GeodesicDisplay.from_estimator(pipe, X[0], X[1], n_frames=2)
    expected = pipe.inverse_transform(np.asarray(pipe.transform(X[:2])))
    np.testing.assert_allclose(display.frames[1], expected)


def test_what_is_no_image_is_a_heat_map(digits_vae, digits):
    X = digits[0][:50, :50]
    vae = VAETransformer(max_iter=5, noise=RBFNoise(bandwidth=3.0, contrast=5), random_state=0).fit(
        X
    )
    display = GeodesicDisplay.from_estimator(vae, X[0], X[1], n_frames=4)
    assert display.image_shape is None
    assert display.ax_.images[0].get_array().shape == (9, 50)
    display = GeodesicDisplay.from_estimator(vae, X[0], X[1], n_frames=4, image_shape=(5, 10))
    assert display.ax_.images[0].get_array().shape[0] == 14
    with pytest.raises(ValueError, match="does not hold 50 features"):
        GeodesicDisplay.from_estimator(vae, X[0], X[1], image_shape=(7, 7))
    with pytest.raises(TypeError, match="something that decodes"):
        GeodesicDisplay.from_estimator(NeighborEncoder(), X[0], X[1])


@pytest.fixture(scope="module")
def normal():
    Z = make_blobs(60, centers=[[0, 0], [4, 1]], random_state=0)[0]
    return RiemannianNormal(2, metric=plane(), random_state=0).fit(Z), Z


@pytest.mark.slow
def test_densities_are_those_of_the_estimator(normal):
    estimator, Z = normal
    display = DensityDisplay.from_estimator(estimator, Z, grid_resolution=8)
    low = display.extent[0]
    expected = estimator.score_samples(low[None])[0]
    assert display.log_density[0] == pytest.approx(expected)
    np.testing.assert_array_equal(stars(display.ax_)[0].get_offsets(), estimator.means_)


def test_densities_of_others_and_of_pipelines(digits):
    X = digits[0][:90]
    vae = VAETransformer(max_iter=10, noise=RBFNoise(bandwidth=3.0, contrast=5), random_state=0)
    pipe = make_pipeline(vae, GaussianMixture(2, random_state=0)).fit(X)
    display = DensityDisplay.from_estimator(pipe, X, grid_resolution=8)
    expected = pipe[-1].score_samples(display.extent[0][None])[0]
    assert display.log_density[0] == pytest.approx(expected)


@pytest.mark.parametrize("n_dims", [1, 3, 5])
def test_densities_of_other_dimensions(n_dims):
    Z = make_blobs(40, n_dims, random_state=0)[0]
    mixture = GaussianMixture(2, random_state=0).fit(Z)
    display = DensityDisplay.from_estimator(mixture, Z, grid_resolution=30)
    assert len(display.log_density) == (30 if n_dims == 1 else 40)
    display.figure_.canvas.draw()
    with pytest.raises(TypeError, match="has no density"):
        DensityDisplay.from_estimator(StandardScaler().fit(Z), Z)


def test_without_matplotlib_there_is_advice():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from skriem.inspection import LatentSpaceDisplay\n"
        "import numpy as np\n"
        "try: LatentSpaceDisplay(np.eye(2)).plot()\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'skriem[plot]'" in run.stdout


def test_pictures_are_the_right_way_round():
    """Rows of a picture go up, columns to the right."""

    def steep(z):
        return torch.stack([z[:, 0].exp(), z[:, 1]], dim=1)

    Z = np.random.default_rng(0).uniform(size=(30, 2)) * [1.0, 3.0]
    display = LatentSpaceDisplay.from_metric(
        PullbackMetric(steep, 2), Z, n_geodesics=0, grid_resolution=7
    )
    across = np.linspace(*np.array(display.extent)[:, 0], 7) / np.log(10.0)
    np.testing.assert_allclose(display.values.reshape(7, 7), np.tile(across, (7, 1)))
    mixture = GaussianMixture(random_state=0).fit(Z)
    density = DensityDisplay.from_estimator(mixture, Z, grid_resolution=7)
    x, y = (np.linspace(*side, 7) for side in np.transpose(density.extent))
    expected = [mixture.score_samples([[a, b] for a in x]) for b in y]
    np.testing.assert_allclose(density.log_density.reshape(7, 7), expected)


def test_axes_say_how_much_of_the_variance_they_show():
    Z = np.concatenate([np.diag([3.0, 1.0, 0.0, 0.0]), -np.diag([3.0, 1.0, 0.0, 0.0])])
    ax = LatentSpaceDisplay.from_metric(plane(4), Z, n_geodesics=0).ax_
    assert "(90% of" in ax.get_xlabel()
    assert "(10% of" in ax.get_ylabel()


# Trees -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tree():
    X = make_blobs(30, centers=[[0, 0], [5, 0], [0, 9]], random_state=0)[0]
    far = [[20.0, 20.0]]
    return RiemannianSingleLinkage(3, metric=plane()).fit(np.concatenate([X, far]))


def test_branches_have_the_colours_of_their_clusters(tree):
    display = DendrogramDisplay.from_estimator(make_pipeline(StandardScaler(), tree), n_leaves=31)
    drawn = [one for one in display.ax_.collections if len(one.get_paths())]
    colors = [tuple(one.get_color()[0]) for one in drawn for _ in one.get_paths()]
    # Three colours, and black where two clusters, or one and the far point, are joined.
    inside = [k for k, pair in enumerate(colors) if pair != matplotlib.colors.to_rgba("black")]
    assert len(set(colors)) == 4
    assert len(inside) == sum(np.bincount(tree.labels_[tree.labels_ >= 0]) - 1)
    heights = [path.vertices[:, 1].max() for one in drawn for path in one.get_paths()]
    np.testing.assert_allclose(np.sort(heights), tree.distances_)


def test_a_tree_is_cut_short_and_drawn_again(tree):
    display = DendrogramDisplay.from_estimator(tree, n_leaves=5)
    assert len(display.ax_.get_xticklabels()) == 5
    ax = plt.subplots()[1]
    assert DendrogramDisplay(tree.linkage_).plot(ax).ax_ is ax
    with pytest.raises(TypeError, match="has no tree"):
        DendrogramDisplay.from_estimator(NeighborEncoder().fit(np.eye(4)))


def test_codes_of_a_mixture_can_be_drawn_as_well_as_data():
    X = np.random.default_rng(0).normal(size=(40, 3))
    vae = VAETransformer(
        network=(4,), prior="mixture", noise="constant", max_iter=3, random_state=0
    ).fit(X)
    codes = vae.transform(X)
    of_codes = LatentSpaceDisplay.from_estimator(vae, codes, grid_resolution=5)
    of_data = LatentSpaceDisplay.from_estimator(vae, X, grid_resolution=5)
    np.testing.assert_array_equal(of_codes.points, of_data.points)


def test_pipelines_of_one_step():
    X = np.random.default_rng(0).normal(size=(20, 2))
    pipe = make_pipeline(RiemannianNormal(1, metric=plane(), max_iter=50).fit(X))
    DensityDisplay.from_estimator(pipe, X, grid_resolution=5)


# Words -------------------------------------------------------------------------------------


def test_places_without_data_are_told_from_those_with_data():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(200, 2)), [[30.0, 0.0]]])
    at = np.array([[0.0, 0.0], [1.0, -1.0], [9.0, 9.0], [20.0, 0.0], [30.1, 0.0]])
    assert far_from(points, at).tolist() == [False, False, True, True, False]
    # Units do not matter.
    assert far_from(1e6 * points, 1e6 * at).tolist() == [False, False, True, True, False]
    assert far_from(points[:1], at[:1]).tolist() in ([True], [False])


def key_of(ax):
    """Names in the legends of the axes."""
    return {text.get_text() for legend in ax.findobj(Legend) for text in legend.get_texts()}


def test_what_is_drawn_is_named():
    X, y = make_blobs(60, centers=[[0, 0], [30, 0]], random_state=0)
    frame = pd.DataFrame(X, columns=["height", "weight"])
    kmeans = RiemannianKMeans(2, random_state=0).fit(frame)
    display = LatentSpaceDisplay.from_estimator(kmeans, frame, grid_resolution=40)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("height", "weight")
    assert display.ax_.get_legend().get_title().get_text() == "cluster"
    assert {"geodesic", "centre", "no data near"} <= key_of(display.ax_)
    named = LatentSpaceDisplay.from_estimator(
        kmeans, frame, pd.Series(y, name="kind"), background=None, n_geodesics=0
    )
    assert named.ax_.get_legend().get_title().get_text() == "kind"
    assert key_of(named.ax_) == {"0", "1", "centre"}
    codes = kmeans.set_params(metric=NeighborEncoder(), n_clusters=1)
    again = LatentSpaceDisplay.from_estimator(codes.fit(X), X, background=None)
    assert again.ax_.get_xlabel() == "feature 1"


@pytest.mark.parametrize("library", thorough(["pandas", "polars"], slow=["polars"]))
def test_rows_of_mixed_tables_are_named_as_they_stand_there(library):
    frames = pytest.importorskip(library)
    rng, kinds = np.random.default_rng(0), np.repeat([0, 1], 40)
    frame = frames.DataFrame(
        {
            "size": kinds + 0.1 * rng.normal(size=80),
            "colour": np.array(["blue", "red"])[kinds],
            "name": [f"no {k}" for k in range(80)],
            "same": ["x"] * 80,
        }
    )
    vae = VAETransformer(likelihood="auto", noise="constant", max_iter=60, random_state=0)
    with pytest.warns(UserWarning, match="left out"):
        vae.fit(frame)
    display = GeodesicDisplay.from_estimator(vae, frame[:1], frame[-1:], n_frames=3)
    decoded = vae.inverse_transform(
        vae.transform(frame[[0, -1]] if library == "polars" else frame.iloc[[0, -1]])
    )
    np.testing.assert_allclose(display.frames[1, [0, -1], 0], decoded["size"].to_numpy(), rtol=1e-5)
    named = [label.get_text().split("\n") for label in display.ax_.get_xticklabels()]
    assert [name for name, _ in named] == ["size", "colour", "same"]
    assert [values for _, values in named[1:]] == ["blue to red", "x"]
    with pytest.raises(ValueError, match="b must be one sample, got a data frame of 2 rows"):
        GeodesicDisplay.from_estimator(vae, frame[:1], frame[:2])


def test_a_row_of_a_table_has_its_names_and_values():
    iris = load_iris(as_frame=True)
    vae = VAETransformer(network=(8,), noise="constant", max_iter=5, random_state=0).fit(iris.data)
    display = GeodesicDisplay.from_estimator(vae, iris.data.iloc[0], iris.data.iloc[-1])
    # Four features are no image of two times two pixels.
    assert display.image_shape is None
    names = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert [name.partition("\n")[0] for name in names] == iris.feature_names
    low, high = display.frames.min((0, 1)), display.frames.max((0, 1))
    assert names[0].endswith(f"{low[0]:.3g} to {high[0]:.3g}")
    shown = display.ax_.images[0].get_array()
    assert (shown.min(), shown.max()) == (0.0, 1.0)
