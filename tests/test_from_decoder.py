"""Decoders from elsewhere as metrics."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import distributions, nn

from skriem import decoder_metric
from skriem.decoders.fisher_rao import StabilisedEmbedding
from skriem.decoders.gaussian import DecoderEmbedding
from skriem.geometry import PullbackMetric
from skriem.geometry.maps.frozen import FrozenModule

TOL = 1e-2


def perceptron(n_outputs=6, activation=nn.Tanh, seed=0, n_codes=2):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Linear(n_codes, 12), activation(), nn.Linear(12, n_outputs)]
        return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def codes():
    """Codes around an arc, (160, 2)."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0.0, np.pi, 160)
    return np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=(160, 2))


def adopted(decoder, codes, **options):
    return decoder_metric(decoder, codes, random_state=0, **options)


class Returning(nn.Module):
    """A module whose output is made into something else."""

    def __init__(self, make, n_outputs=6):
        super().__init__()
        self.layers, self.make = perceptron(n_outputs), make

    def forward(self, z):
        return self.make(self.layers(z))


class ModelOutput(dict):
    """As pythae's and others', which are mappings."""


class Lightning(nn.Module):
    """The decoder is a part of the module, and there is a method for it."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = perceptron(4, n_codes=6), perceptron()

    def decode(self, z):
        return self.decoder(z)


class Generator(nn.Module):
    """As of a GAN: images, and batch normalisation."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Unflatten(1, (2, 1, 1)),
                nn.ConvTranspose2d(2, 4, 4),
                nn.BatchNorm2d(4),
                nn.SiLU(),
                nn.ConvTranspose2d(4, 1, 4, 2, 1),
                nn.Tanh(),
            )

    def forward(self, z):
        return self.layers(z)


# What decoders return ----------------------------------------------------------------------


TENSORS = {
    "tensor": (lambda x: x, None),
    "image": (lambda x: x.reshape(-1, 1, 2, 3), None),
    "one number each": (lambda x: x[:, 0], None),
    "reconstruction": (lambda x: ModelOutput(reconstruction=x, other=x[:, :1]), None),
    "one tensor": (lambda x: {"sample": x, "name": "y"}, None),
    "tuple": (lambda x: (x.exp(), x[:, :1], x), lambda out: out[2]),
    "normal": (lambda x: distributions.Normal(x, 1.0), None),
    "unknown distribution": (lambda x: distributions.Laplace(x, 1.0), None),
}


@pytest.mark.parametrize("name", TENSORS)
def test_the_mean_is_found_in_what_decoders_return(name, codes):
    make, output = TENSORS[name]
    decoder = Returning(make)
    metric = adopted(decoder, codes, likelihood=None, output=output)
    mean = decoder.layers.double()
    plain = PullbackMetric(
        lambda z: mean(z)[:, :1] if name == "one number each" else mean(z), 2, codes
    )
    a, b = codes[:10], codes[10:20]
    np.testing.assert_allclose(metric.embed(a), plain.embed(a), rtol=1e-12)
    if name != "one number each":
        np.testing.assert_allclose(metric.distance(a, b, TOL), plain.distance(a, b, TOL), rtol=1e-6)


@pytest.mark.slow
def test_a_generator_of_images(codes):
    generator = Generator().eval()
    metric = adopted(generator, codes)
    assert metric.embed(codes).shape == (160, 128)
    assert (metric.distance(codes[:5], codes[5:10], TOL) > 0).all()


def test_a_part_of_a_module_and_its_method(codes):
    model = Lightning()
    part, method = adopted(model.decoder, codes), adopted(model.decode, codes)
    np.testing.assert_array_equal(part.embed(codes), method.embed(codes))
    twin = adopted(model.decode, codes)
    assert twin == method
    with torch.no_grad():
        model.decoder[0].weight.mul_(2.0)
    np.testing.assert_array_equal(part.embed(codes), method.embed(codes))
    assert adopted(model.decode, codes) != method


def test_a_function_is_given_float64(codes):
    double, single = perceptron().double(), perceptron()
    first = adopted(lambda z: double(z), codes)
    second = adopted(lambda z: single(z.float()), codes)
    a, b = codes[:5].astype(np.float32), codes[5:10].astype(np.float32)
    np.testing.assert_allclose(first.embed(a), second.embed(a), rtol=1e-3, atol=1e-5)
    assert first.distance(torch.as_tensor(a), torch.as_tensor(b), TOL).dtype == torch.float32


# Gaussian ----------------------------------------------------------------------------------


def test_walls_are_high_away_from_the_codes(codes):
    metric = adopted(perceptron(), codes)
    assert isinstance(metric._map, DecoderEmbedding)
    mean = adopted(perceptron(), codes, likelihood=None)
    # From the top of the arc outwards: up to a wall, and over it.
    way = np.array([0.0, 1.0]) + np.linspace(0.0, 2.0, 100)[:, None] * [0.0, 1.0]
    at = torch.as_tensor(codes), torch.as_tensor(way[-1:])
    assert metric._map.std(at[1]).min() > 10.0 * metric._map.std(at[0]).median()
    raised, at_codes = (metric.log_volume(z) - mean.log_volume(z) for z in (way, codes))
    assert raised.max() > 2.0 + np.median(at_codes)
    np.testing.assert_array_equal(
        adopted(perceptron(), codes, contrast=1).embed(codes), mean.embed(codes)
    )


def test_noise_without_data_is_a_tenth_of_what_is_decoded(codes):
    decoder = perceptron()
    std = adopted(decoder, codes)._map.std(torch.as_tensor(codes))
    scale = adopted(decoder, codes, likelihood=None).embed(codes).var(0).mean() ** 0.5
    np.testing.assert_allclose(std.median(), 0.1 * scale, rtol=0.3)
    other = adopted(decoder, codes, noise=float(0.2 * scale))._map.std(torch.as_tensor(codes))
    np.testing.assert_allclose(other, 2.0 * std, rtol=1e-2)


@pytest.mark.parametrize("flat", [True, False])
def test_noise_is_that_of_the_data(flat, codes):
    decoder = Returning(lambda x: x.reshape(-1, 2, 3))
    mean = adopted(decoder, codes, likelihood=None).embed(codes)
    noise = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.3])
    data = mean + noise * np.random.default_rng(0).normal(size=mean.shape)
    metric = adopted(decoder, codes, data=data if flat else data.reshape(-1, 2, 3))
    std = metric._map.std(torch.as_tensor(codes)).median(0).values
    np.testing.assert_allclose(std, noise, rtol=0.3)


def test_distances_are_symmetric_and_no_shorter_than_the_means(codes):
    metric = adopted(perceptron(), codes, bandwidth=2.0)
    mean = adopted(perceptron(), codes, likelihood=None)
    a, b = codes[:12], codes[12:24]
    forth, back = metric.distance(a, b, TOL), metric.distance(b, a, TOL)
    np.testing.assert_allclose(forth, back, atol=1e-9)
    assert (forth > mean.distance(a, b, TOL) * (1.0 - TOL)).all()


@pytest.mark.slow
def test_the_order_of_outputs_does_not_matter(codes):
    mean = perceptron().double()
    order = [3, 1, 5, 0, 2, 4]
    data = np.random.default_rng(0).normal(size=(160, 6))
    options = {"bandwidth": 2.0}
    first = adopted(lambda z: mean(z), codes, data=data, **options)
    second = adopted(lambda z: mean(z)[:, order], codes, data=data[:, order], **options)
    a, b = codes[:8], codes[8:16]
    # Tables differ by 4e-8, of which curves that are nearly short enough make more.
    found, again = (metric.distance(a, b, 1e-3) for metric in (first, second))
    np.testing.assert_allclose(found, again, rtol=1e-6)


def test_normal_distributions_have_their_own_noise(codes):
    def both(x):
        return distributions.Independent(distributions.Normal(x[:, :3], x[:, 3:].exp()), 1)

    decoder = Returning(both)
    metric, layers = adopted(decoder, codes), decoder.layers.double()
    expected = torch.cat(
        [layers(torch.as_tensor(codes))[:, :3], layers(torch.as_tensor(codes))[:, 3:].exp()], 1
    )
    np.testing.assert_allclose(metric.embed(codes), expected.detach(), rtol=1e-12)
    assert isinstance(adopted(decoder, codes, likelihood="gaussian")._map, DecoderEmbedding)


# Fisher-Rao --------------------------------------------------------------------------------


def arcsine(x):
    return 2.0 * torch.asin(x.sigmoid().sqrt())


def spherical(x):
    return 2.0 * x.softmax(-1).sqrt()


def negative_binomial(x):
    return 2.0 * 3.0**0.5 * torch.asinh((x.exp() / 3.0).sqrt())


FISHER_RAO = {
    "bernoulli tensor": (torch.sigmoid, "bernoulli", arcsine),
    "bernoulli": (lambda x: distributions.Bernoulli(logits=x), "auto", arcsine),
    "bernoulli of probabilities": (
        lambda x: distributions.Independent(distributions.Bernoulli(x.sigmoid()), 1),
        "auto",
        arcsine,
    ),
    "poisson tensor": (torch.exp, "poisson", lambda x: 2.0 * torch.exp(0.5 * x)),
    "poisson": (
        lambda x: distributions.Poisson(x.exp()),
        "auto",
        lambda x: 2.0 * torch.exp(0.5 * x),
    ),
    "negative binomial": (
        lambda x: distributions.NegativeBinomial(torch.full_like(x[0], 3.0), logits=x - np.log(3)),
        "auto",
        negative_binomial,
    ),
    "categorical": (lambda x: distributions.Categorical(logits=x), "auto", spherical),
    "categories": (
        lambda x: distributions.OneHotCategorical(logits=x.reshape(-1, 2, 3)),
        "auto",
        lambda x: spherical(x.reshape(-1, 2, 3)).flatten(1),
    ),
}


@pytest.mark.parametrize("name", FISHER_RAO)
def test_fisher_rao_without_walls_is_the_stabilising_transform(name, codes):
    make, likelihood, transform = FISHER_RAO[name]
    decoder = Returning(make)
    metric = adopted(decoder, codes, likelihood=likelihood, contrast=1.0)
    assert isinstance(metric._map, StabilisedEmbedding)
    layers = decoder.layers.double()
    plain = PullbackMetric(lambda z: transform(layers(z)), 2, codes)
    np.testing.assert_allclose(metric.embed(codes), plain.embed(codes), rtol=1e-5)
    a, b = codes[:6], codes[6:12]
    np.testing.assert_allclose(metric.distance(a, b, TOL), plain.distance(a, b, TOL), rtol=1e-4)


@pytest.mark.parametrize("name", ["bernoulli tensor", "poisson", "categorical"])
def test_fisher_rao_with_walls(name, codes):
    make, likelihood, _ = FISHER_RAO[name]
    decoder = Returning(make)
    walled = adopted(decoder, codes, likelihood=likelihood)
    plain = adopted(decoder, codes, likelihood=likelihood, contrast=1.0)
    widening = walled._map.widening(torch.as_tensor(np.array([*codes, [0.0, 30.0]])))
    assert widening[:-1].median() < 0.1
    np.testing.assert_allclose(widening[-1], np.log(30.0), rtol=0.05)
    near = np.abs(walled.embed(codes) - plain.embed(codes))
    assert np.median(near) < 0.1 * plain.embed(codes).mean()
    assert np.isfinite(walled.scalar_curvature(codes)).all()


# Features ----------------------------------------------------------------------------------


def test_features_are_where_lengths_are(codes):
    decoder = Returning(lambda x: x.reshape(-1, 1, 2, 3))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        features = nn.Sequential(nn.Conv2d(1, 4, 2), nn.Softplus())
    metric = adopted(decoder, codes, features=features, likelihood=None)
    both = PullbackMetric(nn.Sequential(decoder, features, nn.Flatten()), 2, codes)
    np.testing.assert_allclose(metric.embed(codes), both.embed(codes), rtol=1e-12)
    a, b = codes[:8], codes[8:16]
    np.testing.assert_allclose(metric.distance(a, b, TOL), both.distance(a, b, TOL), rtol=1e-4)
    assert adopted(decoder, codes, features=features, likelihood=None) == metric


def test_noise_is_measured_in_features(codes):
    decoder = perceptron()
    data = adopted(decoder, codes, likelihood=None).embed(codes) + 0.5
    shifted = adopted(decoder, codes, data=data, features=lambda x: x - x.mean(1, keepdim=True))
    std = shifted._map.std(torch.as_tensor(codes))
    assert std.shape == (160, 6)
    # The error is one constant, of which these features know nothing.
    assert std.median() < 0.1
    assert adopted(decoder, codes, data=data)._map.std(torch.as_tensor(codes)).median() > 0.4


def test_features_need_a_mean(codes):
    with pytest.raises(ValueError, match="features are of means"):
        adopted(Returning(torch.sigmoid), codes, features=nn.Identity(), likelihood="bernoulli")


# The object --------------------------------------------------------------------------------


def test_pickles_and_is_equal_to_its_twin(codes):
    decoder = perceptron()
    metric = adopted(decoder, codes)
    again = pickle.loads(pickle.dumps(metric))
    assert again == metric == adopted(decoder, codes)
    np.testing.assert_array_equal(again.embed(codes), metric.embed(codes))
    assert adopted(perceptron(seed=1), codes) != metric
    assert adopted(decoder, codes, likelihood=None) != metric
    assert metric.with_points(codes[:20]) == metric


def plain_function(z):
    return torch.cat([z, z.square()], dim=1)


class Activated(nn.Module):
    def __init__(self, activation, factor=1.0):
        super().__init__()
        self.layer, self.activation, self.factor = nn.Linear(2, 3), activation, factor
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, z):
        return self.factor * self.activation(self.layer(z))


class Negated(Activated):
    def forward(self, z):
        return -self.layer(z)


def test_modules_with_equal_weights_need_not_be_equal():
    metric = PullbackMetric(Activated(torch.tanh), 2)
    assert metric == PullbackMetric(Activated(torch.tanh), 2)
    others = Activated(torch.sin), Activated(torch.tanh, 5.0), Negated(torch.tanh)
    assert all(metric != PullbackMetric(other, 2) for other in others)
    assert PullbackMetric(Activated(torch.tanh).bfloat16(), 2) != metric


def test_probabilities_of_categories_can_be_read_as_ones(codes):
    def made(h):
        return distributions.Categorical(logits=h)

    decoder = Returning(made)
    metric = adopted(decoder, codes, likelihood="bernoulli", contrast=1.0)
    p = decoder.layers(torch.as_tensor(codes, dtype=torch.float32)).softmax(1).detach().numpy()
    np.testing.assert_allclose(metric.embed(codes), 2.0 * np.arcsin(np.sqrt(p)), rtol=1e-5)


def test_a_function_is_equal_to_itself_and_its_pickles(codes):
    for likelihood in ("gaussian", None):
        metric = adopted(plain_function, codes, likelihood=likelihood)
        assert pickle.loads(pickle.dumps(metric)) == metric
        assert adopted(plain_function, codes, likelihood=likelihood) != metric


@pytest.mark.usefixtures("global_state")
def test_nothing_is_modified(codes):
    model = nn.Sequential(perceptron(), nn.Sigmoid())
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    kept = codes.copy()
    data = np.random.default_rng(0).uniform(size=(160, 6))
    metric = adopted(model, codes, data=data, bandwidth=2.0)
    metric.distance(codes[:2], codes[2:4], TOL)
    assert model.training
    assert all(value.requires_grad for value in model.parameters())
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    np.testing.assert_array_equal(codes, kept)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float32", "tensor", "one code", "same codes"])
def test_codes_of_all_kinds(kind, codes):
    given = {
        "float32": codes.astype(np.float32),
        "tensor": torch.tensor(codes, requires_grad=True),
        "one code": codes[:1],
        "same codes": np.ones((30, 2)),
    }[kind]
    metric = adopted(perceptron(), given, noise=0.1)
    assert np.isfinite(metric.distance(np.zeros((1, 2)), np.ones((1, 2)), TOL)).all()


def test_many_codes_are_thinned_for_the_graph():
    codes = np.random.default_rng(0).normal(size=(1500, 2))
    metric = adopted(perceptron(), codes)
    assert metric.points.shape == (1000, 2)
    assert (codes[:, None, 0] == metric.points[:, 0]).any(0).all()
    other = decoder_metric(perceptron(), codes, random_state=np.random.RandomState(0))
    assert other.points.shape == (1000, 2)


# Errors and warnings -----------------------------------------------------------------------


class Hidden(nn.Module):
    """What modes do not show."""

    def __init__(self, step):
        super().__init__()
        self.layers, self.step = perceptron(), step

    def forward(self, z):
        return self.step(self.layers(z))


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(6), nn.AlphaDropout(0.2)])
def test_training_mode(layer, codes):
    module = nn.Sequential(perceptron(), layer).train()
    for make in (lambda m: adopted(m, codes), lambda m: PullbackMetric(m, 2), FrozenModule):
        with pytest.raises(ValueError, match=r"Call \.eval\(\) first: in training mode"):
            make(module)
    with pytest.raises(ValueError, match="eval"):
        adopted(perceptron(), codes, features=module)
    adopted(module.eval(), codes)
    adopted(nn.Sequential(perceptron(), nn.Dropout(0.0)).train(), codes)


def test_slopes_are_random_in_training_mode():
    module = nn.Sequential(perceptron(), nn.RReLU()).train()
    with pytest.raises(ValueError, match=r"Call \.eval\(\) first: .*RReLU"):
        FrozenModule(module)
    z = torch.zeros(3, 2)
    frozen = FrozenModule(module.eval())
    torch.testing.assert_close(frozen(z), frozen(z), rtol=0, atol=0)


@pytest.mark.parametrize(
    "step",
    [
        lambda x: nn.functional.dropout(x, 0.5, training=True),
        lambda x: nn.functional.batch_norm(x, None, None, training=True),
        lambda x: x - x.mean(0),
    ],
)
def test_rows_that_depend_on_others_or_chance(step, codes):
    with pytest.raises(ValueError, match="rows depend on each other"):
        adopted(Hidden(step), codes)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Hardtanh])
def test_piecewise_linear_decoders(activation, codes):
    module = perceptron(activation=activation)
    for make in (lambda: adopted(module, codes), lambda: PullbackMetric(module, 2)):
        with pytest.warns(UserWarning, match="piecewise constant.*tanh, softplus") as record:
            make()
        assert len(record) == 1
        assert record[0].filename == __file__
    with pytest.warns(UserWarning, match="piecewise linear"):
        adopted(lambda z: nn.functional.relu(z @ z.new_ones(2, 3) - 0.5), codes, likelihood=None)


def test_kinks_below_a_smooth_output(codes):
    module = nn.Sequential(perceptron(activation=nn.ReLU), nn.Sigmoid())
    with pytest.warns(UserWarning, match="has kinks"):
        adopted(module, codes, likelihood="bernoulli")
    features = nn.Sequential(perceptron(20, n_codes=6, activation=nn.ReLU), nn.ReLU())
    with pytest.warns(UserWarning, match="with its features"):
        adopted(perceptron(), codes, features=features)


@pytest.mark.parametrize(
    "activation", [nn.Tanh, nn.Softplus, nn.SiLU, nn.GELU, nn.ELU, nn.Identity]
)
def test_smooth_and_linear_decoders_do_not_warn(activation, codes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adopted(perceptron(activation=activation), codes)
        PullbackMetric(perceptron(activation=activation), 2)


OUTPUTS = {
    "rows": (lambda z: z[:3], ValueError, "one row for each code"),
    "no rows": (lambda z: z.sum(), ValueError, "one row for each code"),
    "whole numbers": (lambda z: z.round().long(), ValueError, "floating point"),
    "tuple": (lambda z: (z, z, z), TypeError, r"output=lambda out: out\[2\]"),
    "mapping": (lambda z: {"x": z, "y": z}, TypeError, r"keys \['x', 'y'\]"),
    "nothing": (lambda z: None, TypeError, "NoneType"),
    "infinite": (lambda z: z / 0.0, ValueError, "must be finite"),
    "no gradient": (lambda z: z.detach().sin(), ValueError, "no gradient"),
    "constant": (lambda z: torch.ones_like(z), ValueError, "leaves no scale"),
    "other distribution": (
        lambda z: distributions.Laplace(z, 1.0),
        TypeError,
        "returns a Laplace.*likelihood='gaussian'",
    ),
    "sizes": (
        lambda z: distributions.NegativeBinomial(z.exp(), logits=z),
        ValueError,
        "total_count.*depends on the code",
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_that_cannot_be(name, codes):
    decoder, error, match = OUTPUTS[name]
    with pytest.raises(error, match=match):
        adopted(decoder, codes)


OPTIONS = {
    "no decoder": ({"decoder": 3}, TypeError, "decoder must be"),
    "output": ({"output": 2}, TypeError, "output must be"),
    "features": ({"features": "vgg"}, TypeError, "features must be"),
    "likelihood": ({"likelihood": "cauchy"}, ValueError, "'auto', None, 'gaussian'"),
    "n_centers": ({"n_centers": 0}, ValueError, "n_centers"),
    "bandwidth": ({"bandwidth": 0.0}, ValueError, "bandwidth"),
    "contrast": ({"contrast": 0.5}, ValueError, "contrast"),
    "noise": ({"noise": -1.0}, ValueError, "noise must be positive"),
    "noise and data": ({"noise": 1.0, "data": np.zeros((160, 6))}, ValueError, "without data"),
    "noise of none": ({"noise": 1.0, "likelihood": None}, ValueError, "it is deterministic"),
    "data rows": ({"data": np.zeros((9, 6))}, ValueError, r"shape \(160, 6\).*got \(9, 6\)"),
    "data columns": ({"data": np.zeros((160, 5))}, ValueError, r"got \(160, 5\)"),
    "data": ({"data": np.full((160, 6), np.nan)}, ValueError, "data must be finite"),
    "one dimension": ({"codes": np.zeros(5)}, ValueError, r"codes must have shape \(n, d\)"),
    "no codes": ({"codes": np.zeros((0, 2))}, ValueError, "codes must have shape"),
    "codes": ({"codes": np.full((5, 2), np.inf)}, ValueError, "codes must be finite"),
    "other codes": ({"codes": np.zeros((5, 3))}, ValueError, r"codes of shape \(5, 3\)"),
    "probabilities": ({"likelihood": "bernoulli"}, ValueError, "output=torch.sigmoid"),
    "counts": ({"likelihood": "poisson"}, ValueError, "output=torch.exp"),
}


def test_features_and_output_that_cannot_be(codes):
    with pytest.raises(TypeError, match="features must return a tensor, got tuple"):
        adopted(perceptron(), codes, features=lambda x: (x, x))
    with pytest.raises(ValueError, match="features module must return one row"):
        adopted(perceptron(), codes, features=lambda x: x.mean())
    with pytest.raises(TypeError, match="output returned tuple of 2"):
        adopted(perceptron(), codes, output=lambda x: (x, x))


@pytest.mark.parametrize("name", OPTIONS)
def test_options_that_cannot_be(name, codes):
    options, error, match = OPTIONS[name]
    with pytest.raises(error, match=match):
        adopted(**{"decoder": perceptron(), "codes": codes, **options})


def test_functions_in_another_dtype(codes):
    module = perceptron()
    with pytest.raises(ValueError, match="float64.*Modules and their methods"):
        adopted(lambda z: module(z), codes)


def test_modules_that_are_no_embedding():
    for module in (Generator().eval(), Returning(lambda x: (x, x))):
        with pytest.raises(ValueError, match="decoder_metric"):
            PullbackMetric(module, 2)
