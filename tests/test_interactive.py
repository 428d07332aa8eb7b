"""The picture for browsers: what hovering says, and what is drawn."""

import base64
import html
import io
import subprocess
import sys

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris, make_blobs
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skriem import RiemannianKMeans
from skriem.geometry import PullbackMetric
from skriem.inspection import InteractiveDisplay
from skriem.inspection.interactive import notes_of

IRIS = load_iris(as_frame=True).data


# What is said, for which bokeh is not needed -----------------------------------------------


def test_frames_say_names_and_values():
    frame = pd.DataFrame(
        {"income <k>": [1234.5678, np.nan], "who": ["<Ann>", None], "n": [3, 4], "last": [0, 0]},
        index=["a", "b"],
    )
    first, second = notes_of(frame, 3)
    assert first.startswith("sample a<table><tr><td>income &lt;k&gt;</td><td>1235</td>")
    assert "<td>who</td><td>&lt;Ann&gt;</td>" in first
    assert "<td>n</td><td>3</td></tr></table>" in first
    assert "last" not in first
    assert "<td>income &lt;k&gt;</td><td>–</td>" in second
    assert "<td>who</td><td>–</td>" in second


def test_sparse_rows_say_their_largest_entries():
    X = csr_matrix([[0.0, 0.5, 2.0], [0.0, 0.0, 0.0]])
    words = notes_of(X, 1, feature_names=["the", "cat", "sat"])
    assert words[0] == "sample 0<table><tr><td>sat</td><td>2</td></tr></table>"
    assert words[1] == "sample 1<table></table>"


def test_images_are_pictures():
    X = np.random.default_rng(0).uniform(size=(3, 64))
    X[0, 0], X[1, 5] = 0.0, 1.0
    note = notes_of(X, 10)[2]
    data = base64.b64decode(note.partition("base64,")[2].partition("'")[0])
    picture = matplotlib.image.imread(io.BytesIO(data), format="png")
    np.testing.assert_allclose(picture[..., 0].ravel(), X[2], atol=0.01)
    assert "img" in notes_of(X[:, :6], 10, image_shape=(2, 3))[0]
    # A table of 64 columns with names is none.
    assert "img" not in notes_of(pd.DataFrame(X).add_prefix("x"), 10)[0]
    assert "feature 6" in notes_of(X[:, :6], 10)[0]


@pytest.mark.parametrize(
    ("samples", "options", "match"),
    [
        (np.zeros((4, 3)), {"feature_names": ["a"]}, "must be 3, got 1"),
        (np.zeros((4, 3)), {"image_shape": (2, 2)}, "does not hold 3"),
        (np.zeros(4), {}, "rows and columns"),
    ],
)
def test_what_cannot_be_said(samples, options, match):
    with pytest.raises(ValueError, match=match):
        notes_of(samples, 10, **options)


def test_without_bokeh():
    code = (
        "import sys; sys.modules['bokeh'] = None\n"
        "from skriem.inspection import InteractiveDisplay\n"
        "try: InteractiveDisplay([[0.0]], ['a']).plot()\n"
        "except ImportError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "skriem[interactive]" in run.stdout


# What is drawn -----------------------------------------------------------------------------


@pytest.fixture
def _bokeh():
    pytest.importorskip("bokeh", reason="the extra interactive is not installed")


def drawn(display):
    """What was drawn: of every group of points its coordinates, notes and style."""
    return [
        (renderer.data_source.data, renderer.glyph)
        for renderer in display.figure_.renderers
        if "note" in renderer.data_source.data
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("_bokeh")
def test_points_have_the_notes_of_their_samples():
    X, _ = make_blobs(60, centers=3, random_state=0)
    metric = PullbackMetric(lambda z: z, 2)
    kmeans = RiemannianKMeans(3, metric=metric, random_state=0).fit(X)
    samples = pd.DataFrame({"row": np.arange(60)}, index=np.arange(100, 160))
    display = InteractiveDisplay.from_estimator(kmeans, X, samples=samples)
    groups, names = drawn(display), {item.label.value for item in display.figure_.legend[0].items}
    assert names == {"0", "1", "2", "centre"}
    assert display.figure_.legend[0].title == "cluster"
    for k, (data, _) in enumerate(groups):
        rows = np.flatnonzero(kmeans.labels_ == k)
        np.testing.assert_allclose(np.column_stack([data["x"], data["y"]]), X[rows])
        expected = f"<b>cluster {k}</b>, sample {rows[0] + 100}"
        assert data["note"][0].startswith(expected)
        assert f"<td>{rows[0]}</td>" in data["note"][0]
    assert len({(glyph.fill_color, glyph.marker) for _, glyph in groups}) == 3
    assert display.figure_.xaxis.axis_label == "coordinate 1"
    with pytest.raises(ValueError, match="samples must be 60 rows, got 59"):
        InteractiveDisplay.from_estimator(kmeans, X, samples=samples[:59])


@pytest.mark.slow
@pytest.mark.usefixtures("_bokeh")
def test_files_and_notebooks(tmp_path):
    pipe = make_pipeline(StandardScaler(), RiemannianKMeans(3, random_state=0)).fit(IRIS)
    display = InteractiveDisplay.from_estimator(pipe, IRIS)
    file = tmp_path / "iris.html"
    display.save(file)
    page = file.read_text(encoding="utf-8")
    # In the units of the data; nothing comes from elsewhere.
    assert "<td>5.1</td>" in html.unescape(page)
    assert '<script type="text/javascript" src=' not in page
    assert display._repr_html_().startswith("<iframe srcdoc=")
    assert "principal component 2" in display.figure_.yaxis.axis_label


@pytest.mark.slow
@pytest.mark.usefixtures("_bokeh")
def test_other_labels_and_dimensions():
    line = PullbackMetric(lambda z: z, 1)
    X = np.linspace(0.0, 1.0, 30)[:, None]
    kmeans = RiemannianKMeans(2, metric=line, random_state=0).fit(X)
    y = pd.Series(X[:, 0] ** 2, name="square")
    display = InteractiveDisplay.from_estimator(kmeans, X, y)
    ((data, _),) = drawn(display)
    np.testing.assert_array_equal(data["value"], y)
    assert (data["y"] == 0.0).all()
    assert data["note"][9].startswith(f"<b>square {y[9]:.4g}</b>")
    # More classes than a legend has room for.
    many = InteractiveDisplay.from_estimator(kmeans, X, np.arange(30))
    assert len(drawn(many)) == 30
    assert [item.label.value for item in many.figure_.legend[0].items] == ["centre"]
    bare = InteractiveDisplay(X, [str(k) for k in range(30)]).plot()
    assert not bare.figure_.legend
    assert len(drawn(bare)) == 1
