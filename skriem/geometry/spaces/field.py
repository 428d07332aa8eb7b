"""Spaces given by a metric tensor at every point: chords are measured at their midpoints."""

from typing import NamedTuple

import torch

from ...calculus.slopes import gradient, gradients
from ..chunks import in_chunks
from .energy import Expansion, cuts, energy_gradient, over_nodes


class Jets(NamedTuple):
    """The quadratic form e(z, v) = v' M(z) v with its first and second derivatives."""

    value: torch.Tensor  # (n,)
    z: torch.Tensor  # (n, d)
    v: torch.Tensor  # (n, d): 2 M v
    zz: torch.Tensor  # (n, d, d)
    zv: torch.Tensor  # (n, d, d): row k is 2 dM/dz_k v
    vv: torch.Tensor  # (n, d, d): 2 M


class Field:
    """A metric tensor M(z) for every point z.

    Parameters
    ----------
    tensor_fn : callable
        Twice differentiable torch function from (n, d) to (n, d, d), each row on its own.
        Derivatives are taken automatically unless it has a method ``jets`` (see
        :meth:`Field.jets`), and of its method ``form``, v' M(z) v for rows of z and v, if it has
        one: that may cost less than the tensor.
    """

    def __init__(self, tensor_fn):
        self.tensor_fn = tensor_fn
        # Numbers that one evaluation needs, roughly.
        self._numbers = getattr(tensor_fn, "numbers_per_point", 64)

    def thinned(self, points):
        """No cheaper space is known; see :meth:`.embedded.Embedded.thinned`."""
        return None

    def numbers_per_point(self, z):
        """Numbers that one evaluation needs, roughly."""
        return self._numbers

    def tensor(self, z):
        """Metric tensors, (n, d, d)."""
        return in_chunks(lambda part: (self.tensor_fn(part).detach(),), z, self._numbers)[0]

    def rough_tensor(self, z):
        """No cheaper way is known; see :meth:`.embedded.Embedded.rough_tensor`."""
        return self.tensor(z)

    def log_volume(self, z):
        """log sqrt(det M), (n,)."""
        return 0.5 * torch.linalg.slogdet(self.tensor(z))[1]

    def squared_chords(self, points):
        """Squared lengths of the chords between successive points: (B, N+1, d) -> (B, N)."""
        per_curve = points.shape[1] * self._numbers
        return in_chunks(lambda part: (self._chords(part).detach(),), points, per_curve)[0]

    def _chords(self, points):
        middle = 0.5 * (points[:, 1:] + points[:, :-1])
        step = points[:, 1:] - points[:, :-1]
        return self._form(middle.flatten(0, 1), step.flatten(0, 1)).unflatten(0, middle.shape[:2])

    def _form(self, z, v):
        """The quadratic form v' M(z) v, (n,)."""
        if hasattr(self.tensor_fn, "form"):
            return self.tensor_fn.form(z, v)
        return ((self.tensor_fn(z) @ v[..., None]).squeeze(-1) * v).sum(-1)

    def gradient(self, nodes, n_sub):
        """Energy (B,) and half its gradient (B, T+1, d), without second derivatives."""
        per_curve = 4 * nodes.shape[1] * n_sub * self._numbers
        return in_chunks(lambda part: energy_gradient(self._chords, part, n_sub), nodes, per_curve)

    def measure(self, points):
        """Lengths of the curves through `points` (B, N+1, d).

        Returns
        -------
        length : Tensor of shape (B,)
        arc_length : Tensor of shape (B, N+1)
            Length from the start to every point.
        """
        # A tensor that is not positive definite gives NaN, which the solver reports.
        chords = self.squared_chords(points).sqrt()
        arc_length = torch.cat([chords.new_zeros(len(chords), 1), chords.cumsum(1)], dim=1)
        return arc_length[:, -1], arc_length

    def lower_bounds(self, a, b):
        """Numbers that no curve between rows of `a` and rows of `b` is shorter than, (n, m)."""
        return a.new_zeros(len(a), len(b))

    def chords(self, a, b):
        """The same for each row of `a` and that of `b`, (n,)."""
        return a.new_zeros(len(a))

    def jets(self, z, v):
        """The quadratic form e(z, v) = v' M(z) v and its derivatives, for rows of z and v."""
        if hasattr(self.tensor_fn, "jets"):
            return Jets(*self.tensor_fn.jets(z, v))
        d, tensor = z.shape[1], self.tensor(z)
        by_step = (tensor @ v[..., None]).squeeze(-1)
        # Derivatives by v are known: only those by z are taken automatically.
        with gradients():
            at = torch.cat([z, v], dim=-1).detach().requires_grad_()
            form = self._form(*at.tensor_split(2, dim=-1)).sum()
            slope = gradient(form, at)
            bend = torch.stack([gradient(slope[:, k].sum(), at) for k in range(d)], dim=1).detach()
        return Jets(
            (by_step * v).sum(-1),
            slope[:, :d].detach(),
            2.0 * by_step,
            bend[:, :, :d],
            bend[:, :, d:],
            2.0 * tensor,
        )

    def expand(self, nodes, n_sub):
        """Expansion of the energy at `nodes` (B, T+1, d), each segment cut into `n_sub`."""
        per_curve = nodes.shape[1] * n_sub * (self._numbers + 8 * nodes.shape[2] ** 2)
        return Expansion(*in_chunks(lambda part: self._expand(part, n_sub), nodes, per_curve))

    def _expand(self, nodes, n_sub):
        n_curves, n_nodes, d = nodes.shape
        s = cuts(nodes, n_sub)
        s = (0.5 * (s[1:] + s[:-1]))[:, None]
        left, right = nodes[:, :-1, None], nodes[:, 1:, None]
        middle = left + s * (right - left)
        step = ((right - left) / n_sub).expand_as(middle)
        shape = middle.shape[:-1]
        n_chords = shape[1] * shape[2]
        jets = self.jets(middle.reshape(-1, d), step.reshape(-1, d))
        value, by_place, by_step, place, mixed, stiffness = (x.unflatten(0, shape) for x in jets)
        # Half the derivatives of n_chords times the sum, as in Expansion.
        half = 0.5 * n_chords
        by_place, by_step = half * by_place, (half / n_sub) * by_step
        place, mixed = half * place, (half / n_sub) * mixed
        stiffness = (half / n_sub**2) * stiffness.sum(2)
        s = s[..., None]
        # The middle moves by 1 - s and s times the motion of the nodes, the step by -1 and 1
        # over n_sub times.
        both = mixed + mixed.mT
        bend_left = ((1.0 - s) ** 2 * place - (1.0 - s) * both).sum(2)
        bend_right = (s**2 * place + s * both).sum(2)
        bend_upper = (s * (1.0 - s) * place + (1.0 - s) * mixed - s * mixed.mT).sum(2)
        s = s.squeeze(-1)
        return (
            n_chords * value.sum((1, 2)),
            over_nodes(((1.0 - s) * by_place - by_step).sum(2), (s * by_place + by_step).sum(2)),
            over_nodes(stiffness, stiffness),
            -stiffness,
            over_nodes(bend_left, bend_right),
            bend_upper,
        )

    def acceleration(self, z, velocity):
        """Coordinate acceleration of geodesics, from the Euler-Lagrange equation, (n, d)."""
        jets = self.jets(z, velocity)
        # Twice the change of the tensor along the velocity, times the velocity.
        along = (velocity[:, None] @ jets.zv).squeeze(1)
        return torch.linalg.solve_ex(jets.vv, (jets.z - along)[..., None])[0].squeeze(-1)

    def transfer(self, p, q):
        """Approximate parallel transport from `p` to nearby `q`, (n, d, d): midpoint rule."""
        jets = self.jets(0.5 * (p + q), q - p)
        # Twice the first-kind Christoffel symbols contracted with the step.
        christoffel = self.tensor(q) - self.tensor(p) + 0.5 * (jets.zv.mT - jets.zv)
        return torch.linalg.solve_ex(jets.vv + 0.5 * christoffel, jets.vv - 0.5 * christoffel)[0]

    def scalar_curvature(self, z):
        """Twice the Gaussian curvature of two-dimensional spaces, by Brioschi's formula, (n,)."""
        directions = torch.eye(2, dtype=z.dtype, device=z.device)
        first, second = directions[0].expand_as(z), directions[1].expand_as(z)
        (e, de, dde), (g, dg, ddg), (total, dt, ddt) = (
            (jets.value, jets.z, jets.zz)
            for jets in (self.jets(z, first), self.jets(z, second), self.jets(z, first + second))
        )
        f, df, ddf = (
            0.5 * (t - a - b) for t, a, b in ((total, e, g), (dt, de, dg), (ddt, dde, ddg))
        )
        zero = torch.zeros_like(e)

        def determinant(*rows):
            return torch.det(torch.stack([torch.stack(row, -1) for row in rows], -2))

        corner = ddf[:, 0, 1] - 0.5 * (dde[:, 1, 1] + ddg[:, 0, 0])
        bent = determinant(
            (corner, 0.5 * de[:, 0], df[:, 0] - 0.5 * de[:, 1]),
            (df[:, 1] - 0.5 * dg[:, 0], e, f),
            (0.5 * dg[:, 1], f, g),
        )
        sheared = determinant(
            (zero, 0.5 * de[:, 1], 0.5 * dg[:, 0]),
            (0.5 * de[:, 1], e, f),
            (0.5 * dg[:, 0], f, g),
        )
        return 2.0 * (bent - sheared) / (e * g - f * f).square()
