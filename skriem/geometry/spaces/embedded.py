"""Spaces whose metric an embedding pulls back: chords are straight lines after embedding."""

import torch

from ..chunks import in_chunks
from ..curves import straight, subdivide
from .base import Space
from .energy import Expansion, cuts, discrete_energy, energy_gradient, over_nodes

# Single precision is compared on so many lines of so many chords: their energies may differ by
# this share.
N_COMPARED, N_SHORT, FAITHFUL = 64, 128, 1e-5


class Embedded(Space):
    """A map z -> g(z) with the metric M = J J' that it pulls back, J[k] = dg/dz_k.

    Curve energy is a sum of squares of differences of embedded points: neither the metric
    tensor nor its derivatives are needed.

    Parameters
    ----------
    embed : Map
    """

    def __init__(self, embed):
        self.embed = embed
        self._n_outputs = None

    def cheaper(self, points):
        embed = self.embed.thinned(points)
        space = self if embed is None else Embedded(embed)
        if space.embed.follows_dtype:
            rough = SinglePrecision(space.embed)
            if rough.is_faithful(space, points):
                return rough
        return None if embed is None else space

    def halves(self):
        halves = self.embed.halves()
        return None if halves is None else tuple(map(Embedded, halves))

    def tensor(self, z):
        def tensors(part):
            value, jacobian, _ = self.embed.linearise(part)
            # Derivatives may be finite where the map itself is not.
            known = value.isfinite().all(1)[:, None, None]
            return ((jacobian @ jacobian.mT).where(known, torch.nan),)

        return in_chunks(tensors, z, 3 * z.shape[1] * self.numbers_per_point(z))[0]

    def differentiable_tensor(self, z):
        jacobian = self.embed.linearise(z).jacobian
        return jacobian @ jacobian.mT

    def rough_tensor(self, z):
        if self.embed.follows_dtype:
            return self.tensor(z.float()).to(z.dtype)
        return self.tensor(z)

    def log_volume(self, z):
        def volumes(part):
            # The triangular factor has the tensor's determinant without squaring its condition.
            factor = torch.linalg.qr(self.embed.linearise(part).jacobian.mT, mode="r").R
            logs = factor.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)
            # Fewer outputs than coordinates span no volume.
            return (logs if factor.shape[1] == z.shape[1] else torch.full_like(logs, -torch.inf),)

        return in_chunks(volumes, z, 3 * z.shape[1] * self.numbers_per_point(z))[0]

    def squared_chords(self, points):
        per_curve = 2 * points.shape[1] * self.numbers_per_point(points)
        return in_chunks(lambda part: (self._chords(part),), points, per_curve)[0]

    def _chords(self, points):
        values = self.embed(points.flatten(0, 1)).unflatten(0, points.shape[:2])
        return (values[:, 1:] - values[:, :-1]).square().sum(-1)

    def measure(self, points):
        return self._measure(points, _measured)

    def measure_closely(self, points):
        def measured(values):
            length, arc_length = _measured(values)
            return length, arc_length, (length - _measured(values[:, ::2])[0]).abs() / 3.0

        return self._measure(points, measured)

    def _measure(self, points, measured):
        """What a function says of the embedded points of every curve."""

        def measure_part(part):
            return measured(self.embed(part.flatten(0, 1)).unflatten(0, part.shape[:2]))

        return in_chunks(measure_part, points, 2 * points.shape[1] * self.numbers_per_point(points))

    def lower_bounds(self, a, b):
        a, b = self.embed(a), self.embed(b)
        # Distances come from products, which far from the origin have no digits left.
        return torch.cdist(a - b[:1], b - b[:1])

    def chords(self, a, b):
        return (self.embed(a) - self.embed(b)).norm(dim=-1)

    def gradient(self, nodes, n_sub):
        per_curve = 4 * nodes.shape[1] * n_sub * self.numbers_per_point(nodes)
        return in_chunks(lambda part: energy_gradient(self._chords, part, n_sub), nodes, per_curve)

    def expand(self, nodes, n_sub):
        d = nodes.shape[2]
        per_curve = nodes.shape[1] * n_sub * (5 * d + 8) * self.numbers_per_point(nodes)
        return Expansion(*in_chunks(lambda part: self._expand(part, n_sub), nodes, per_curve))

    def _expand(self, nodes, n_sub):
        n_curves, n_nodes, d = nodes.shape
        points = subdivide(nodes, n_sub)
        n_chords = points.shape[1] - 1
        value, jacobian, curvature = self.embed.linearise(points.flatten(0, 1))
        # All curves in one row, a meaningless chord between each and the next.
        chord = torch.cat([value[1:] - value[:-1], torch.zeros_like(value[:1])])
        chord[n_chords :: n_chords + 1] = 0.0
        rows = torch.cat([jacobian, chord[:, None]], dim=1)
        here = rows @ rows.mT
        ahead = here.new_zeros(len(here), d + 1, d)
        ahead[:-1] = rows[:-1] @ jacobian[1:].mT
        here, ahead = (x.unflatten(0, (n_curves, -1)) for x in (here, ahead))

        # Per chord, in segments: Gram blocks of the Jacobians at its two ends, and how these
        # lie to the chord. A point at fraction s of its segment moves by (1 - s) times the
        # left node's motion plus s times the right node's.
        def by_segment(x):
            return n_chords * x.unflatten(1, (n_nodes - 1, n_sub))

        tensor = here[..., :d, :d]
        first, second = by_segment(tensor[:, :-1]), by_segment(tensor[:, 1:])
        mixed = by_segment(ahead[:, :-1, :d])
        first_chord = by_segment(here[:, :-1, :d, d])
        second_chord = by_segment(ahead[:, :-1, d])
        s = cuts(nodes, n_sub)
        a, b = s[:-1, None, None], s[1:, None, None]
        left, right = 1.0 - a, 1.0 - b

        def moved(u, v, x, y):
            """Sum over chords of (v J2 - u J1) (y J2 - x J1)'."""
            gram = u * x * first + v * y * second - u * y * mixed - v * x * mixed.mT
            return gram.sum(2)

        diagonal = over_nodes(moved(left, right, left, right), moved(a, b, a, b))
        upper = moved(left, right, a, b)
        a, b = a.squeeze(-1), b.squeeze(-1)
        gradient = over_nodes(
            ((1.0 - b) * second_chord - (1.0 - a) * first_chord).sum(2),
            (b * second_chord - a * first_chord).sum(2),
        )
        energy = n_chords * here[..., d, d].sum(-1)

        # The pull of the chords on each point, and how it changes as the point moves.
        pull = -n_chords * chord
        pull[1:] -= pull[:-1].clone()
        bent = curvature(pull).unflatten(0, (n_curves, -1))
        inner = bent[:, :-1].unflatten(1, (n_nodes - 1, n_sub))
        s = s[:-1, None, None]
        bend_diagonal = over_nodes(((1.0 - s) ** 2 * inner).sum(2), (s**2 * inner).sum(2))
        bend_diagonal[:, -1] += bent[:, -1]
        bend_upper = (s * (1.0 - s) * inner).sum(2)
        return energy, gradient, diagonal, upper, bend_diagonal, bend_upper

    def acceleration(self, z, velocity):
        """-M^-1 J D2g[velocity, velocity]."""

        def accelerate(part):
            jacobian, bent = self.embed.bent_jacobian(*part.tensor_split(2, dim=-1))
            force = -(jacobian @ bent[..., None])
            return (torch.linalg.solve_ex(jacobian @ jacobian.mT, force)[0].squeeze(-1),)

        per_point = 4 * z.shape[1] * self.numbers_per_point(z)
        return in_chunks(accelerate, torch.cat([z, velocity], dim=-1), per_point)[0]

    def transfer(self, p, q):
        """Tangent vectors at `p` are projected onto the tangent spaces at `q`."""
        at_p, at_q = self.embed.linearise(p).jacobian, self.embed.linearise(q).jacobian
        return torch.linalg.solve_ex(at_q @ at_q.mT, at_q @ at_p.mT)[0]

    def scalar_curvature(self, z):
        """By the Gauss equation."""
        jacobian = self.embed.linearise(z).jacobian
        gram = jacobian @ jacobian.mT

        def normal_part(*direction):
            along = z.new_tensor(direction).expand_as(z)
            bent = self.embed.bend(z, along)
            tangent = torch.linalg.solve_ex(gram, jacobian @ bent[..., None])[0]
            return bent - (jacobian.mT @ tangent).squeeze(-1)

        first, second = normal_part(1.0, 0.0), normal_part(0.0, 1.0)
        mixed = 0.5 * (normal_part(1.0, 1.0) - first - second)
        return 2.0 * ((first * second).sum(-1) - mixed.square().sum(-1)) / torch.det(gram)

    def numbers_per_point(self, points):
        """The outputs of the map."""
        if self._n_outputs is None:
            self._n_outputs = self.embed(points.reshape(-1, points.shape[-1])[:1]).shape[-1]
        return self._n_outputs


class SinglePrecision(Embedded):
    """The same in single precision: energies and lengths to about six digits in half the time.

    What curves are found with is so, and no more: accelerations and the like keep their digits.
    """

    def tensor(self, z):
        return super().tensor(z.float()).to(z)

    def squared_chords(self, points):
        return super().squared_chords(points.float()).to(points)

    def measure(self, points):
        return tuple(part.to(points) for part in super().measure(points.float()))

    def measure_closely(self, points):
        return tuple(part.to(points) for part in super().measure_closely(points.float()))

    def expand(self, nodes, n_sub):
        return Expansion(*(part.to(nodes) for part in super().expand(nodes.float(), n_sub)))

    def is_faithful(self, space, points):
        """Whether curves between points have the energies that they have in a space.

        Not where coordinates or outputs are large beside what they vary by.
        """
        ends = torch.tensor(points[: N_COMPARED + 1])
        nodes = straight(ends[:-1], ends[1:], N_SHORT)
        energy, ours = (discrete_energy(s, nodes, 1) for s in (space, self))
        return bool(((energy - ours).abs() <= FAITHFUL * energy).all())


def _measured(values):
    """Lengths of curves through embedded points (B, N+1, m), and up to every point.

    Chords are too short by the square of their spacing; one Richardson step over every second
    point removes that term.
    """
    fine = (values[:, 1:] - values[:, :-1]).norm(dim=-1)
    coarse = (values[:, 2::2] - values[:, :-2:2]).norm(dim=-1)
    arc_length = torch.cat([fine.new_zeros(len(fine), 1), fine.cumsum(1)], dim=1)
    return arc_length[:, -1] + (arc_length[:, -1] - coarse.sum(-1)) / 3.0, arc_length
