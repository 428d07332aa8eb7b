"""Encoders and decoders as torch modules and in the format ONNX say what the estimator does."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skriem import Convolutional, DecoderEnsemble, MixturePrior, Modules, Perceptron, VAETransformer
from skriem.nn.likelihoods import LIKELIHOODS

# What is fitted here is not fitted to the end.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def data(kind="gaussian", gaps=0.0, n=60):
    rng = np.random.default_rng(0)
    reals = 3.0 + rng.normal(size=(n, 2)) @ rng.normal(size=(2, 4))
    counts = rng.poisson(np.exp(0.3 * reals)).astype(float)
    X = {
        "gaussian": reals,
        "student_t": reals,
        "bernoulli": (reals > 3.0).astype(float),
        "categorical": np.minimum(counts, 2.0),
        "poisson": counts,
        "negative_binomial": counts,
    }[kind]
    X[rng.uniform(size=X.shape) < gaps] = np.nan
    return X


def little(**parameters):
    defaults = {"network": (8,), "max_iter": 4, "noise": "constant", "random_state": 0}
    return VAETransformer(**{**defaults, **parameters})


def coder(n_inputs, n_outputs):
    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 8), torch.nn.Tanh(), torch.nn.Linear(8, n_outputs)
    )


FITS = {
    **{kind: ({"likelihood": kind}, data(kind)) for kind in LIKELIHOODS},
    "gaps": ({}, np.vstack([data(gaps=0.3), np.full((1, 4), np.nan)])),
    "categories and gaps": ({"likelihood": "categorical"}, data("categorical", 0.3)),
    "images": ({"network": Convolutional((2, 2), (2,))}, data()),
    "residual": ({"network": Perceptron((8, 8), residual=True, activation="softplus")}, data()),
    "modules": ({"network": Modules(encoder=coder, decoder=coder)}, data()),
    "ensemble": ({"noise": DecoderEnsemble(2)}, data()),
    "walls": ({"noise": "rbf", "likelihood": "poisson"}, data("poisson")),
}


@pytest.fixture(scope="module")
def fitted():
    stored = {}

    def of(name):
        if name not in stored:
            parameters, X = FITS[name]
            stored[name] = little(**parameters).fit(X), X
        return stored[name]

    return of


@pytest.mark.parametrize("name", FITS)
def test_modules_say_what_the_estimator_does(name, fitted):
    vae, X = fitted(name)
    Z = np.asarray(vae.transform(X))
    encoder, decoder = vae.encoder_module(), vae.decoder_module()
    with torch.no_grad():
        np.testing.assert_allclose(encoder(torch.as_tensor(X)), Z, rtol=1e-9, atol=1e-12)
        found = decoder(torch.as_tensor(Z))
    np.testing.assert_allclose(found, vae.inverse_transform(Z), rtol=1e-9, atol=1e-12)
    single = vae.encoder_module("float32"), vae.decoder_module("float32")
    for module, into, expected in zip(single, (X, Z), (Z, vae.inverse_transform(Z))):
        assert {part.dtype for part in module.parameters()} == {torch.float32}
        with torch.no_grad():
            answer = module(torch.as_tensor(into, dtype=torch.float32))
        assert answer.dtype == torch.float32
        if not name.startswith("categor"):
            np.testing.assert_allclose(answer, expected, rtol=1e-3, atol=1e-3)


def test_codes_under_a_mixture():
    X = data()
    vae = little(prior=MixturePrior(2)).fit(X)
    with torch.no_grad():
        found = vae.encoder_module()(torch.as_tensor(X))
    np.testing.assert_allclose(found, vae.transform(X), rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="prior='normal'"):
        vae.to_onnx("nowhere.onnx")


def test_modules_have_weights_of_their_own(fitted):
    vae, X = fitted("gaussian")
    module, before = vae.encoder_module(), np.asarray(vae.transform(X))
    loss = module(torch.as_tensor(X)).square().mean()
    loss.backward()
    assert all(part.grad is not None for part in module.parameters())
    with torch.no_grad():
        for part in module.parameters():
            part += 1.0
    np.testing.assert_array_equal(vae.transform(X), before)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert twin.state_dict().keys() == module.state_dict().keys()
        torch.testing.assert_close(twin(torch.as_tensor(X)), module(torch.as_tensor(X)))


def test_rows_with_gaps_that_were_not_there_in_fit(fitted):
    vae, X = fitted("gaussian")
    gone = torch.as_tensor(X.copy())
    gone[0, 0] = np.nan
    with torch.no_grad():
        found = vae.encoder_module()(gone)
    assert found[0].isnan().all()
    assert found[1:].isfinite().all()


def test_what_has_no_module(fitted):
    with pytest.raises(NotFittedError):
        little().encoder_module()
    mixed = little(likelihood="auto").fit(data())
    for method in (mixed.encoder_module, mixed.decoder_module):
        with pytest.raises(ValueError, match="data frames"):
            method()
    sequence = little(prior="dynamics").fit(data())
    with pytest.raises(ValueError, match="of their sequence"):
        sequence.encoder_module()
    assert sequence.decoder_module()(torch.zeros(3, 2, dtype=torch.float64)).shape[0] == 3
    vae, _ = fitted("gaussian")
    with pytest.raises(ValueError, match="dtype must be"):
        vae.decoder_module("float16")
    with pytest.raises(ValueError, match="part must be"):
        vae.to_onnx("nowhere.onnx", "both")


def test_packages_that_are_missing(fitted, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install skriem\[onnx\]"):
        fitted("gaussian")[0].to_onnx("nowhere.onnx")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FITS)
def test_files_in_the_format_onnx(name, dtype, fitted, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    if name in ("images", "residual") and dtype == "float64":
        pytest.skip("onnxruntime has convolution and softplus in single precision only")
    vae, X = fitted(name)
    Z = np.asarray(vae.transform(X))
    for part, into, expected in (("encoder", X, Z), ("decoder", Z, vae.inverse_transform(Z))):
        file = tmp_path / f"{part}.onnx"
        vae.to_onnx(file, part, dtype=dtype)
        session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        names = ("X", "Z") if part == "encoder" else ("Z", "X")
        for rows in (slice(None), slice(0, 1)):
            (found,) = session.run([names[1]], {names[0]: into[rows].astype(dtype)})
            assert found.dtype == dtype
            if part == "decoder" and name.startswith("categor"):
                # Ties may fall either way in single precision.
                assert (found == expected[rows]).mean() > 0.9
                continue
            tolerance = 1e-3 if dtype == "float32" else 1e-7
            np.testing.assert_allclose(found, expected[rows], rtol=tolerance, atol=tolerance)
