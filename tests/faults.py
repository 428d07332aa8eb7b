"""Faults of one line each that the tests have to notice; :mod:`mutations` puts them in.

By file of the package: what stands there, exactly once, and what takes its place. Every fault
changes results beyond their tolerance. Those that only make something slower are none.
"""

from typing import NamedTuple

GEOMETRY = {
    "geometry/curves.py": [
        ("0.5 * (nodes[:, 2:] - nodes[:, :-2])", "nodes[:, 2:] - nodes[:, :-2]"),
        ("- 2.0 * nodes[:, -2] + 0.5 * nodes[:, -3]", "- 2.0 * nodes[:, -2] - 0.5 * nodes[:, -3]"),
        ("(target - low) / torch.where", "(high - target) / torch.where"),
    ],
    "geometry/spaces/energy.py": [
        ("return squared.shape[1] * squared.sum(-1)", "return squared.sum(-1)"),
        ("0.5 * gradient", "gradient"),
    ],
    "geometry/solvers/tridiagonal.py": [
        ("from_right = right.mT @ solved", "from_right = right @ solved"),
        (".info == 0).all(1)", ".info == 0).any(1)"),
        ("before[..., None] + to_right @", "before[..., None] - to_right @"),
    ],
    "geometry/solvers/relax.py": [
        ("return step, -(step *", "return step, (step *"),
        ("length == shortest[rows]", "length != shortest[rows]"),
        ("APART * size", "APART + size"),
        ("upper = (1.0 + damping) * model", "upper = model"),
    ],
    "geometry/solvers/geodesics.py": [
        ("(length - lengths[active]).abs() / 3.0", "(length - lengths[active]) / 3.0"),
        ("torch.where(near[active[flat]],", "torch.where(~near[active[flat]],"),
        ("rival / lengths - 1.0", "rival / lengths"),
        ("(gap < -tol)", "(gap > -tol)"),
        ("first = steep and known is None", "first = steep and known is not None"),
        ("rows = rows[use]", "rows = rows[~use]"),
        ("curves.resample(points, arc_length, t)", "points[:, ::N_COMPARED].clone()"),
        ("active[relaxed.energy > 0]", "active[relaxed.energy >= 0]"),
        ("(32, 64, 128, 256, 512), N_SUB, 1024", "(32, 64, 128), N_SUB, 256"),
    ],
    "geometry/paths/lattice.py": [
        ("np.divmod(reach * k, n)", "np.divmod(np.array(step) * k, n)"),
        ("np.float32(stride / n)", "np.float32(1.0 / n)"),
        ("np.where(behind >= 0,", "np.where(behind >= -1,"),
        ("0.5 if k in (0, n) else 1.0", "1.0"),
        ("*(total - back[after])", "*back[after]"),
        ("np.where(corner, rest, n - rest)", "np.where(corner, n - rest, rest)"),
        ("near = (through <= limit)", "near = (through >= limit)"),
        ("key=lambda place: through[place])[1:]", "key=lambda place: through[place])[:1]"),
        ("ZIGZAG * known + 2.0 * aside", "ZIGZAG * known - 2.0 * aside"),
    ],
    "geometry/solvers/routes.py": [
        ("better = length < lengths[part[at]]", "better = length > lengths[part[at]]"),
        ("side[going] *= 2.0", "side[going] *= 1.0"),
        ("torch.round((a + b) / side[:, None] - 1.0)", "torch.round((a + b) / side[:, None])"),
        ("torch.fmin(found.length", "torch.fmax(found.length"),
        ("return thinned if _is_enough", "return thinned if not _is_enough"),
    ],
    "geometry/solvers/shooting.py": [
        ("[..., None]).squeeze(-1) + gaps[:, leg]", "[..., None]).squeeze(-1) - gaps[:, leg]"),
        ("return N_LEGS * legs[:, 0, d:]", "return legs[:, 0, d:]"),
    ],
    "geometry/solvers/solution.py": [("self.length**2", "self.length")],
    "geometry/spaces/field.py": [
        ("(s * by_place + by_step).sum(2)", "(s * by_place - by_step).sum(2)"),
        ("jets.z - along", "jets.z + along"),
        ("0.5 * (jets.zv.mT - jets.zv)", "0.5 * (jets.zv - jets.zv.mT)"),
        ("/ (e * g - f * f).square()", "/ (e * g - f * f)"),
    ],
    "geometry/spaces/base.py": [("0.5 * torch.linalg.slogdet", "torch.linalg.slogdet")],
    "geometry/maps/tensor_field.py": [
        ("        2.0 * by_step,", "        by_step,"),
        ("bend[:, :, d:],", "bend[:, :, d:].mT,"),
        (
            "return (self(z) @ v[..., None]).squeeze(-1) * v",
            "return (self(z) @ v[..., None]).squeeze(-1)",
        ),
    ],
    "geometry/spaces/embedded.py": [
        (".abs().log().sum(-1)", ".abs().log().mean(-1)"),
        ("_measured(values[:, ::2])[0]).abs() / 3.0", "_measured(values[:, ::2])[0]).abs()"),
        ("torch.cdist(a - b[:1], b - b[:1])", "torch.cdist(a - b[:1], b)"),
        ("(b * second_chord - a * first_chord)", "(b * second_chord - b * first_chord)"),
        ("force = -(jacobian", "force = (jacobian"),
        ("<= FAITHFUL * energy", "<= energy"),
        ("at_q @ at_q.mT, at_q @ at_p.mT", "at_q @ at_q.mT, at_p @ at_q.mT"),
        ("2.0 * ((first * second).sum(-1)", "((first * second).sum(-1)"),
    ],
    "geometry/spaces/table.py": [
        ("np.diag([1.0, 2.0, 3.0], k=1)", "np.diag([1.0, 1.0, 3.0], k=1)"),
        ("& (at <= n_cells)).all(0)", "& (at <= n_cells)).any(0)"),
        ("2.0 * (along * w).sum(1)", "(along * w).sum(1)"),
        ("np.sqrt(values.clip(min=0.0))[:, None]", "np.sqrt(values.clip(min=0.0))[:, :, None]"),
        ("looked_up.tensor(z) + rest", "looked_up.tensor(z) + 0.5 * rest"),
        ("    if error > enough:", "    if error > 1e9 * enough:"),
    ],
    "geometry/paths/graph.py": [
        ("dijkstra(weights, directed=False", "dijkstra(weights, directed=True"),
        ("through + b.distances[:, j], out=best", "through, out=best"),
        (
            "(np.nan_to_num(lengths, nan=np.inf), np.finfo",
            "(np.nan_to_num(lengths, nan=0.0), np.finfo",
        ),
        ("direct = line_length <= length", "direct = line_length >= length"),
        ("np.lexsort((-apart, pairs))", "np.lexsort((apart, pairs))"),
    ],
    "geometry/paths/grid_curves.py": [
        ("(lengths < line_lengths)", "(lengths > line_lengths)"),
        ("by_way = total.argmin(1)", "by_way = total.argmax(1)"),
        ("np.stack(stops[::-1], axis=1)", "np.stack(stops, axis=1)"),
    ],
    "geometry/paths/grid.py": [
        (
            "return grid_distances(measure, grid, b, a).T",
            "return grid_distances(measure, grid, b, a)",
        ),
        ("by_way += lengths[:, k, None]", "by_way -= lengths[:, k, None]"),
    ],
    "geometry/solvers/shortcuts.py": [
        ("correction.offset + correction.slope *", "correction.offset - correction.slope *"),
        ("np.log(exact / upper)", "np.log(upper / exact)"),
        ("(z >= low) & (z <= high)).all(1)", "(z >= low) & (z <= high)).any(1)"),
    ],
    "geometry/metrics/nearest.py": [
        ("factor = self.power * (2.0", "factor = (2.0"),
        ("torch.as_tensor(self.scale**2)", "torch.as_tensor(self.scale)"),
        ("self._distances(Z, Z).square() @", "self._distances(Z, Z) @"),
        ("torch.as_tensor(points * self.scale)", "torch.as_tensor(points)"),
        ("np.triu(apart <= reach, above)", "np.triu(apart > reach, above)"),
    ],
    "geometry/paths/polygons.py": [
        ("if total[i, j] < direct:", "if total[i, j] > direct:"),
        ("rise[:, :, -1].sum(1, keepdims=True)", "rise[:, :, 0].sum(1, keepdims=True)"),
        ("2.0 * way <= length", "way <= length"),
    ],
    "geometry/paths/off_data.py": [
        ("- self.to_data(r_start) - self.to_data(r_end)", "- self.to_data(r_start)"),
        ("hyp2f1(1.0, -q, 1.5, share)", "hyp2f1(1.0, q, 1.5, share)"),
        ("squares, 2.0 * ahead, out", "squares, ahead, out"),
        ("beaten = (products > ", "beaten = (products < "),
        (
            "first, last = np.r_[first, other], np.r_[other, last]",
            "first = last = np.tile(other, 2)",
        ),
    ],
    "geometry/solvers/frechet_mean.py": [
        (
            "maps.log(space, base, z, geodesics, 0.1 * tol)",
            "maps.log(space, z, base, geodesics, 0.1 * tol)",
        ),
        ("weights[:, None] * eliminated.rhs", "eliminated.rhs"),
        ("group_sums(weights[rows] * trial_energy,", "group_sums(trial_energy,"),
    ],
    "geometry/solvers/search.py": [
        ("total - found.arc_length.flip(1)", "found.arc_length.flip(1)")
    ],
    "geometry/metrics/riemannian.py": [
        ("answer(self._space.scalar_c", "answer(-self._space.scalar_c"),
    ],
    "geometry/metrics/base.py": [
        ("self.fingerprint == other.fingerprint", "self.n_dims == other.n_dims"),
        ("return ((parts * speeds).sum(1),)", "return ((parts.sqrt() * speeds).sum(1),)"),
    ],
    "geometry/solvers/exp_log.py": [
        ("momentum = -space", "momentum = space"),
        ("turns[:, 1::2] @ turns[:, ::2]", "turns[:, ::2] @ turns[:, 1::2]"),
        ("frame = factor[:, 0].mT @", "frame = factor[:, 0] @"),
    ],
    "geometry/solvers/ode.py": [
        (".clamp(min=1e-300) / rtol", ".clamp(min=1e-300)"),
        ("slopes[good][..., -1]", "slopes[good][..., 0]"),
    ],
    "geometry/models/normal.py": [
        ("return log_mass - 0.5 * squared_norms", "return log_mass - squared_norms"),
        ("(mixture.weights.log() - normalizers)", "(mixture.weights.log() + normalizers)"),
        ("shares.std(-1) / N_REPLICATES**0.5", "shares.std(-1)"),
        ("gradient = lower - weighted", "gradient = lower + weighted"),
        ("torch.as_tensor(turned @ turned.T)", "torch.as_tensor(turned.T @ turned)"),
        ("(squares / d)[:, None, None] * torch", "squares[:, None, None] * torch"),
        ("< len(where[0]):", "< 0.0:"),
        ("np.linalg.cholesky(_within_reach(unit.T", "np.linalg.cholesky((unit.T"),
        ("np.linalg.cholesky(_within_reach(lower", "np.linalg.cholesky((lower"),
        ("min([lower, first], key", "min([lower], key"),
        ("(weights[:, None, None] * scatters).sum(0", "scatters.sum(0"),
    ],
    "geometry/models/stars.py": [
        ("return self.logs - (self.slopes", "return self.logs + (self.slopes"),
        ("torch.linspace(1.0, 0.0, n_nodes", "torch.linspace(0.0, 1.0, n_nodes"),
        ("(found.energy / size).sqrt()", "found.energy.sqrt()"),
        ("found.nodes.flip(1), N_SUB", "found.nodes, N_SUB"),
    ],
    "geometry/models/grid_stars.py": [
        ("straight.abs().amax(-1) < NEAR", "straight.abs().amax(-1) > NEAR"),
        ("logs = -torch.linalg.solve_ex", "logs = torch.linalg.solve_ex"),
    ],
    "geometry/models/expectation.py": [
        ("if problem.value(found.log_density) >= problem.value(state.log_density)", "if True"),
        (
            "return float((self.weights * log_density).mean())",
            "return float(log_density.mean())",
        ),
        ("shift = _step(state, shift,", "shift = 0.0 * _step(state, shift,"),
        ("refer is not None and enough and", "refer is not None and"),
    ],
    "geometry/models/land.py": [
        ("key=lambda found: found.history[-1]", "key=lambda found: -found.history[-1]"),
        ("* n_init + list(further)", "* n_init"),
        ("descending=True", "descending=False"),
        ("replace=False, p=share", "replace=False"),
    ],
    "geometry/models/density.py": [
        ("precisions=turn @ precisions @ turn.mT", "precisions=turn.mT @ precisions @ turn"),
        ("Constants(total + ratio, stderr", "Constants(total, stderr"),
        ("ratios - 0.5 * squared_norms", "ratios - squared_norms"),
        ("at_best - NEGLIGIBLE", "at_best - 0.1"),
    ],
    "geometry/models/proposal.py": [
        ("part.weights.log() - d * part.scales.log()", "part.weights.log() - part.scales.log()"),
        ("(normal[rows] @ part.factor.mT)", "(normal[rows] @ part.factor)"),
        ("log_density(density, points[-1]) - np.log(n)", "log_density(density, points[-1])"),
    ],
    "geometry/models/brownian.py": [
        ("step_size**2 * drifts", "step_size * drifts"),
        ("of_inverse = -(inverse", "of_inverse = (inverse"),
        ("solve_triangular(factor.mT, noise", "solve_triangular(factor, noise"),
    ],
    "geometry/metrics/conformal.py": [
        ("slopes - precision - outer", "slopes - precision"),
        ("(logs + torch.as_tensor(log_weights)).logsumexp(0)", "logs.logsumexp(0)"),
        ('"nji,mnj->mni", roots, steps', '"nij,mnj->mni", roots, steps'),
        ("roots.mT @ roots", "roots @ roots.mT"),
        ("weights / weights.sum()", "weights"),
    ],
    "geometry/metrics/metric_field.py": [
        ("@ squares - 2.0 * torch.diag_embed", "@ squares + 2.0 * torch.diag_embed"),
        ("1.0 / (self.variance(z) + self._rho)", "1.0 / self.variance(z)"),
        ("often * torch.exp(squares.sum(-1)", "torch.exp(squares.sum(-1)"),
        ("k=rank + 1)[0][:, -1]", "k=rank + 1)[0][:, 1]"),
    ],
    "geometry/metrics/ambient.py": [
        ("* moved.squeeze(1)", "* value"),
        ("self._embed.by_feature(self._by_output(z, v))", "self._by_output(z, v)"),
    ],
    "geometry/metrics/location_scale.py": [
        ("2.0 * df / (df + 3.0)", "df / (df + 3.0)"),
        ("[1].square().reciprocal()", "[1].reciprocal()"),
    ],
    "geometry/metrics/regularised.py": [
        ("1j * math.sqrt(strength)", "1j * strength"),
        ("(mixed + low @ slope - slope @ high)", "(mixed + low @ slope + slope @ high)"),
    ],
    "geometry/maps/ensemble.py": [
        ("self._share = 1.0 / math.sqrt(len(", "self._share = 1.0 / (len("),
        ("self._share * torch.cat(bent, dim=-1)", "torch.cat(bent, dim=-1)"),
        ("(self._share * torch.cat(parts, dim=-1) for", "(torch.cat(parts, dim=-1) for"),
        (
            "torch.logsumexp(each, dim=0) - math.log(len(self._members))",
            "torch.logsumexp(each, dim=0)",
        ),
        ("(chords + variance[:, 1:] + variance[:, :-1])", "(chords + variance[:, 1:])"),
    ],
    "geometry/paths/among.py": [
        ("(found[:, self.ends.nodes] + self.ends.distances)", "(found[:, self.ends.nodes])"),
        ("label[self.starts[rows[::-1]]]", "label[self.starts[rows]]"),
        ("edges.data + to_nodes[edges.col]", "edges.data"),
        ("[0], weights, minlength=len(rows))", "[0], minlength=len(rows))"),
        ("self.distances**2, weights, True", "self.distances, weights, True"),
    ],
    "geometry/paths/medoids.py": [
        ("found[part] = lengths**2 @ weights", "found[part] = lengths @ weights"),
        ("cost[best, clusters] < least", "cost[best, clusters] > least"),
        ("(radius + distances[tries])", "(0.1 * radius)"),
        ("@ weights[members]", "@ np.ones(len(members))"),
        ("rows[k] = members[cost.argmin()]", "rows[k] = cost.argmin()"),
        (
            "cost = np.bincount(labels, weights * distance**2)",
            "cost = -np.bincount(labels, weights)",
        ),
    ],
    "geometry/models/linkage.py": [
        ("np.maximum(core[:, None], core))", "core)"),
        ("int(np.argmax(found == wanted))", "int(np.argmax(found))"),
        ("np.searchsorted(tree[:, 2], distance)", 'np.searchsorted(tree[:, 2], distance, "right")'),
        ("(right, first + sizes[left])", "(right, first + sizes[right])"),
    ],
    "geometry/models/clustering.py": [
        ("* between[labels] - distance)", "* between[labels] + distance)"),
        ("(current.bounds - drift)", "(current.bounds + drift)"),
        ("closer = rival_energy < energy[rows]", "closer = rival_energy > energy[rows]"),
        ("(weights * current.energy).sum()", "current.energy.sum()"),
    ],
    "decoders/gaussian.py": [
        (
            "return mean, Deviation(self._noise, self._scale)",
            "return mean, Deviation(self._noise, 1.0)",
        ),
        ("(z) * self._scale + made", "(z) + made"),
        ("torch.cat(bent, dim=-1) * self._scale", "torch.cat(bent, dim=-1)"),
        ("(torch.cat(parts, dim=-1) * self._scale for", "(torch.cat(parts, dim=-1) for"),
        ("factor = weight**0.5 / self._std", "factor = weight / self._std"),
        ("masked_fill(x.isnan(), 0.0).sum(-1)", "masked_fill(x.isnan(), 0.0).mean(-1)"),
    ],
    "decoders/output_sampling.py": [
        ("np.sqrt(counts[kept] / expected[kept])", "counts[kept] / expected[kept]")
    ],
}

FISHER_RAO = {
    "decoders/fisher_rao.py": [
        ("slope = -0.5 * DOUBLED", "slope = 0.5 * DOUBLED"),
        ("(1.0 + DOUBLED) * contrast**2 - 1.0", "(1.0 + DOUBLED) * contrast - 1.0"),
    ],
    "calculus/linearised.py": [
        (
            "return outer + self.curvature(weights * first)",
            "return outer + self.curvature(weights)",
        ),
        ("return bent + crossed + crossed.mT", "return bent + crossed"),
        ("else weights.sum(1, keepdim=True)", "else weights.mean(1, keepdim=True)"),
        ("- (centred * pulled[:, None]) @", "+ (centred * pulled[:, None]) @"),
        ("second * self.slope.square() + first", "second * self.slope + first"),
        ("+ 2.0 * self.slope * other.slope", "+ self.slope * other.slope"),
        ("totals(shares * (self.bend + slope.square()))", "totals(shares * self.bend)"),
    ],
}

NETWORKS = {
    "nn/network.py": [
        ("h * (1.0 - h) * (1.0 - 2.0 * h)", "h * (1.0 - h) * (1.0 - h)"),
        ("last(jacobian, last_weight) + parts[0].T", "last(jacobian, last_weight)"),
        ("into.square() + first(value) * bent", "into.square()"),
        ("linear(direction, parts[0]) + last(", "last("),
    ],
    "nn/layers.py": [
        ("(STRIDE * (small - 1) + 1)", "(STRIDE * (small - 1))"),
    ],
    "nn/precision.py": [
        ("linear(z, 2.0 * rates[:, None] * centers,", "linear(z, rates[:, None] * centers,"),
        ("-0.5 * std / precision.value", "0.5 * std / precision.value"),
        ("0.75 * std / precision.value", "0.5 * std / precision.value"),
        ("bend = slope.square() - 2.0 * rates", "bend = slope.square() - rates"),
        ("(bandwidth * widths).square()", "(bandwidth * widths)"),
        ("floor = typical / contrast**2", "floor = typical / contrast"),
    ],
    "nn/variance.py": [
        ("/ std - 0.5 * slope * sigmoid", "/ std + 0.5 * slope * sigmoid"),
        ("noise[rows] / variance + variance.log()", "noise[rows] / variance - variance.log()"),
    ],
    "nn/image_precision.py": [("(prior * _grow(", "(_grow(")],
    "nn/importance.py": [
        (
            "weights[:, None] @ torch.cat(expected, 1)",
            "torch.full_like(weights, 1.0 / weights.shape[1])[:, None] @ torch.cat(expected, 1)",
        ),
        ("(by_width, -1) - log_volume", "(by_width, -1) + log_volume"),
        ("TURNS * mean[rows]", "0.0 * mean[rows]"),
        ("+ log_prior - log_proposal", "- log_proposal"),
        ("- codes.shape[-1] * self.widths.log()", "- self.widths.log()"),
        ("of_rows.density.log_density(codes))", "0.0)"),
    ],
    "nn/common_noise.py": [
        ("plain, held @ covariance)", "plain, held)"),
        (".sum(-1) + log_det[:, None])", ".sum(-1) - log_det[:, None])"),
        (".mT @ (shares[:, None] * full) + torch", ".mT @ (shares[:, None] * full) + 0.0 * torch"),
        ("/ (n + m)", "/ n"),
    ],
    "nn/train.py": [
        ("z = mean + torch.exp(0.5 * log_variance)", "z = mean + torch.exp(log_variance)"),
        (
            "(noise.square() + log_variance - z.square())",
            "(noise.square() - log_variance - z.square())",
        ),
    ],
    "nn/priors/base.py": [
        ("log_variance.exp() - 1.0 - log_variance", "log_variance.exp() - 1.0 + log_variance"),
        ("mean + torch.exp(0.5 * self._log_variance)", "mean + torch.exp(self._log_variance)"),
    ],
    "nn/priors/potentials.py": [
        ("joint = weights + 0.5 * (log_dets - lost)", "joint = weights + 0.5 * log_dets"),
        ("by_natural - weighed * on", "by_natural + weighed * on"),
        ("per_volume.T[:, None] @", "-per_volume.T[:, None] @"),
        ("dim2=-1) - by_natural * means", "dim2=-1) + by_natural * means"),
        ("log_softmax(-1) + log_own", "log_softmax(-1) - log_own"),
    ],
    "nn/priors/conjugate.py": [
        ("return expected.per_mean + squares + spread", "return squares + spread"),
        ("0.5 * (conjugate.nu[:, None] - steps)", "0.5 * (conjugate.nu[:, None] + steps)"),
        ("d * (ratio - 1.0 - ratio.log())", "(ratio - 1.0 - ratio.log())"),
        ('"nk,nkij->kij", shares, combined', '"nk,nkij->kij", 0.0 * shares, combined'),
    ],
    "nn/priors/mixture.py": [
        ("counts * (slope - slope.detach()).exp()", "counts"),
        ("(DEGREES + d) / (DEGREES + squares)", "DEGREES / (DEGREES + squares)"),
        ("self.n_samples / weights.sum()", "1.0"),
        ("own = (self._graph.factors[chosen] @", "own = (self._graph.factors[chosen].mT @"),
        ("of_label + of_code - of_prior", "of_label + of_code + of_prior"),
    ],
    "nn/priors/moves.py": [
        ("- 2.0 * codes.means @ pulled.T", "- codes.means @ pulled.T"),
        ("conjugate, self.prior) - explained", "conjugate, self.prior) + explained"),
        ("best.bound >= fit.iterated(N_ALL).bound", "best.bound < fit.iterated(N_ALL).bound"),
        ("        together[:, j] = 0.0", "        together[:, j] *= 1.0"),
        ("tensor[[k, free]] = part", "tensor[[free]] = part[:1]"),
        ("together[:, i] += together[:, j]", "together[:, i] += 0.0"),
    ],
    "nn/priors/chains.py": [
        ("r.left @ before + r.right @ crosses.mT", "r.left @ before"),
        ("0.5 * (squares - log_dets", "0.5 * (squares + log_dets"),
    ],
    "nn/priors/kalman.py": [
        ("@ transition.slope.mT + transition.noise", "@ transition.slope.mT"),
    ],
    "nn/priors/matrix_normal.py": [
        ("residual = own + slope @ wide @ slope.mT", "residual = own"),
        ("0.5 * (linear.nu - steps)", "0.5 * (linear.nu + steps)"),
        ("- squares - d * unsure", "- squares - unsure"),
    ],
    "nn/priors/dynamics.py": [
        ("own - torch.diag_embed(self.precision)", "own"),
        ("given = pairs[1][1] - pairs", "given = pairs[1][1] + 0.0 * pairs"),
        ("part.cpu() * (total / float(found[0]))", "part.cpu()"),
    ],
    "nn/windows.py": [
        ("steps.follows[rows] & ~begins", "steps.follows[rows]"),
    ],
    "estimators/autoencoder/sequences.py": [
        ("range(1, n_steps + 1)", "range(n_steps)"),
        ("back[rows] = np.arange(len(rows))", "back[:] = np.arange(len(rows))"),
        ("found.get(key, (part, 0.0))[1] + weight", "weight"),
    ],
    "nn/layout.py": [
        ("torch.exp(-beyond / low)", "torch.exp(-distances / low)"),
        ("z * push.sum(2, keepdim=True) - push @ z", "push @ z - z * push.sum(2, keepdim=True)"),
    ],
    "nn/attraction.py": [("- similarity.diagonal().mean()", "+ similarity.diagonal().mean()")],
    "nn/regression/network.py": [
        ("total - 0.5 * squares.sum(-1)", "total - squares.sum(-1)"),
        ("of_normal - 0.5 * scaled.square().sum(0)", "of_normal - scaled.square().sum(0)"),
        ("rises[j] = first - second[0]", "rises[j] = first + second[0]"),
        ("on[:, changed] *= factors", "on[:, changed] /= factors"),
        ("sign[j, changed, None] * gram[j]", "2.0 * sign[j, changed, None] * gram[j]"),
        ("missed = weights[:, None] * misses", "missed = 2.0 * weights[:, None] * misses"),
    ],
    "nn/regression/inference.py": [
        ("better = reached > value", "better = reached < value"),
        ("(said[layer + 1] + missed @ weight).sigmoid()", "(missed @ weight).sigmoid()"),
        ("(2.0 * drawn[layer] - 1.0) * logits", "(1.0 - 2.0 * drawn[layer]) * logits"),
        ("relative.std(1) / math.sqrt(n_samples)", "relative.std(1)"),
    ],
    "nn/regression/restoration.py": [
        ("flip_rate + (1.0 - 2.0 * flip_rate) * seen", "flip_rate + (1.0 - flip_rate) * seen"),
        ("noise=network.noise[~gone]", "noise=network.noise[: int((~gone).sum())]"),
    ],
    "nn/regression/training.py": [
        ("part.grad = -slope", "part.grad = slope"),
        ("(both < BOTH * rarer)", "(both > BOTH * rarer)"),
        ("(1.0 - 2.0 * smoothing) * (weights @ units)", "0.5 * (weights @ units)"),
    ],
    "nn/regression/labels.py": [
        ("(share @ costs + 0.5", "(-share @ costs + 0.5"),
        ("return noise * math.sqrt", "return noise / math.sqrt"),
    ],
    "nn/flatness.py": [("(metric / scale - identity)", "(metric / scale)")],
}

LIKELIHOODS = {
    "nn/likelihoods/base.py": [
        ("return found.masked_fill(missing, 0.0).sum(-1)", "return found.sum(-1)"),
        ("/ (weights @ known)", "/ weights.sum()"),
    ],
    "nn/likelihoods/location_scale.py": [
        ("self.n_varying * known * variance.log()", "self.n_varying * variance.log()"),
        ("0.5 * n_known * mse.log()", "n_known * mse.log()"),
        ("std.log() + 0.5 * math.log(2.0 * math.pi)", "std.log() + math.log(2.0 * math.pi)"),
        ("math.sqrt((DEGREES - 2.0) / DEGREES)", "math.sqrt(DEGREES / (DEGREES - 2.0))"),
        ("self._scale * std * rng.standard_t", "std * rng.standard_t"),
        ("(self._nu + squares * precision /", "(self._nu + squares /"),
        (
            "variance = weights @ errors.detach().mean(0) /",
            "variance = weights @ errors.detach().sum(0) /",
        ),
    ],
    "nn/likelihoods/natural.py": [
        ("slope = 0.5 / torch.cosh", "slope = 1.0 / torch.cosh"),
        ("return 2.0 * root * torch.exp(0.5 * odds)", "return root * torch.exp(0.5 * odds)"),
        ("target * natural - softplus(natural)", "target * natural - softplus(-natural)"),
        (".numpy() + rng.gumbel(", ".numpy() - rng.gumbel("),
        ("natural.exp() - torch.lgamma(target + 1.0)", "natural.exp()"),
        ("natural + 2.0 * widening", "natural + widening"),
        ("+ size * logsigmoid(-odds)", "+ size * logsigmoid(odds)"),
        ("(natural.exp().numpy() / size)", "natural.exp().numpy()"),
    ],
}

ESTIMATORS = {
    "estimators/kmeans/kmeans.py": [
        ("float(weights @ distances**2)", "float(weights @ distances)"),
        ("np.bincount(self.labels_, weights, minlength", "np.bincount(self.labels_, minlength"),
        ("[new[k] / counts[k]]", "[1.0 - new[k] / counts[k]]"),
    ],
    "estimators/kmeans/answers.py": [
        ("return -float(weights @", "return float(weights @"),
    ],
    "estimators/kmeans/precomputed.py": [
        ("float(weights @ distances**2)", "float(weights @ distances)"),
        ("weights.maximum(weights.T)", "weights"),
        ("ways = X.data[:, None] + self", "ways = self"),
        ("X[:, self.medoid_indices_]", "X[:, : self.n_clusters_]"),
    ],
    "estimators/kmeans/clusters.py": [
        ("= shares[rows, own], shares[rows, most]", "= shares[rows, most], shares[rows, own]"),
        (
            "self._lengths(points[rows], labels).reshape(n, k)",
            "self._lengths(points[rows], labels).reshape(k, n).T",
        ),
        ("return memberships(distances, self.metric.spacing)", "return memberships(distances)"),
        ("-self.to_centers(points).min(1)", "self.to_centers(points).min(1)"),
        ("units[k] = np.median(ordinary[self", "units[0] = np.median(ordinary[self"),
    ],
    "estimators/kmeans/memberships.py": [
        ("np.square(nearest / distances)", "nearest / distances"),
        ("shares / shares.sum(1, keepdims=True)", "shares"),
    ],
    "estimators/kmeans/plain_runs.py": [
        ("(point_labels, return_inverse=True)", "(labels, return_inverse=True)"),
        ("rows[places[::-1]] = np.arange(len(places))[::-1]", "rows[places] = places"),
    ],
    "geometry/paths/power_graphs.py": [
        ("pow_(power)", "pow_(2.0 * power)"),
        ("(lengths <= by_way)", "(lengths < 0.9 * by_way)"),
        ("np.minimum(rough, straight)[apart]", "rough[apart]"),
    ],
    "estimators/kmeans/mean_runs.py": [
        ("* settings.n_runs + list(settings.further)", "* settings.n_runs"),
        ("weights = np.bincount(cells.labels_, weights,", "weights = np.bincount(cells.labels_,"),
    ],
    "estimators/kmeans/number_of_clusters.py": [
        ("2.0 * gaps[k] - gaps[k + 1]", "gaps[k]"),
        ("low, high = turned.min(0), turned.max(0)", "low, high = turned.min(), turned.max()"),
        ("(expected + SLACK) / (found + SLACK)", "(found + SLACK) / (expected + SLACK)"),
    ],
    "estimators/kmeans/partitions.py": [
        ("conductance <= MOST]", "conductance >= MOST]"),
        ("< STABLE:", "> STABLE:"),
        ("others(found[-1].labels,", "others(np.zeros_like(found[-1].labels),"),
        ("self.views.center + centers * units", "centers * units"),
        ("per_unit[self.views.varying] = 1.0 / units", "per_unit[self.views.varying] = 1.0"),
    ],
    "estimators/kmeans/plain_candidates.py": [
        ("index in self._neighbors)", "index in self._neighbors[:1])"),
        ("if self.in_one_unit else self.views.compared", "if not self.in_one_unit else ()"),
        ("* n_clusters * x.shape[1]", "* n_clusters"),
    ],
    "estimators/kmeans/encoded_candidates.py": [
        ("n_clusters).mean()", "n_clusters).max()"),
        ("metric.nearest(self.codes)", "metric.nearest(self.codes[::-1])"),
        ("self.near[:, :N_COMPARED]", "self.near[::-1, :N_COMPARED]"),
        ("key=lambda run: run.inertia_", "key=lambda run: -run.inertia_"),
        ("along[:, : k - 1], along, self.codes[some]", "along[:, :1],"),
        ("return (self.scaled,)", "return (not self.scaled,)"),
    ],
    "estimators/count_rows.py": [
        ("numbers[times.argmax()] == 1.0", "numbers[times.argmax()] >= 1.0"),
        ("(largest == largest.max()).mean()", "(largest == largest.min()).mean()"),
        ("np.divide(total, totals,", "np.divide(totals, total,"),
        ("weights=weights[seen]", "weights=None"),
    ],
    "estimators/sparse_rows.py": [
        ("self._normed(X)).components_", "X).components_"),
        ("normalize(found) if self._are_directions", "found if self._are_directions"),
        ("diags(np.sqrt(given))", "diags(np.square(given))"),
        ("if are_counts(X) else None", "if False else None"),
    ],
    "estimators/table_rows.py": [
        ("(values - self._center) / self._unit", "(values - self._center) * self._unit"),
        ("np.bincount(self._feature, variance, minlength", "np.bincount(self._feature, minlength"),
        ("np.maximum(mass.sum(0), np", "np.maximum(weights.sum(), np"),
        ("found[place < 0] = np.nan", "found[place < 0] = 0.0"),
        ("limit + SAME * (1.0 + limit)", "limit - SAME * (1.0 + limit)"),
    ],
    "nn/likelihoods/composite.py": [
        ("return 0.5 * (n_known * mse.log()).sum()", "return 0.5 * mse.log().sum()"),
        ("slope[at] *= self.unit[at]", "slope[at] /= self.unit[at]"),
        ("log_unit = np.log(", "log_unit = np.exp("),
        ("np.bincount(self.features, variance,", "np.bincount(self.features,"),
    ],
    "decoders/composite.py": [
        ("return torch.cat(bent, dim=-1) * self._on(z)", "return torch.cat(bent, dim=-1)"),
        ("first + n : last].square()", "first : last - n].square()"),
    ],
    "estimators/autoencoder/composite.py": [
        ("return 1.0 / std", "return std"),
        ("np.sqrt(block.likelihood.location_weight) / std", "1.0 / std"),
        ("vae._places[likelihood.features]", "likelihood.features"),
    ],
    "estimators/autoencoder/columns.py": [
        (">= LEAST_ZEROS", "<= LEAST_ZEROS"),
        ("values[weights > 0.0], cells[weights > 0.0]", "values, cells"),
    ],
    "nn/export.py": [
        ("x.masked_fill(missing, 0.0), missing", "x.masked_fill(missing, 1.0), missing"),
        ("natural * self.scale + self.center", "natural * self.scale"),
        ("torch.stack(means).mean(0)", "torch.stack(means).sum(0)"),
    ],
    "estimators/autoencoder/sparse.py": [
        ("squares - self._center**2", "squares"),
        ("weights[equal].sum()", "weights[equal[0]]"),
        ("seen.data = self._likelihood.inputs(seen.data)", "seen.data = seen.data"),
    ],
    "support/frames.py": [("series = series.round()", "series = series + 0.5")],
    "support/cells.py": [
        ("86400.0 *", "3600.0 *"),
        ("found[~missing] = [str(", "found[missing] = [str("),
    ],
    "estimators/kmeans/explanation.py": [
        ("_clusters.centers[labels], tol=TOL)", "_clusters.centers[0 * labels], tol=TOL)"),
        ("X if self._reads_tables else values)", "values)"),
        ("np.square(moves) if made is None", "np.abs(moves) if made is None"),
    ],
    "inspection/geodesic.py": [
        ("str(levels[round(end)])", "str(levels[0])"),
        ("ends[0] if ends[0] == ends[1] else", "ends[0] if ends[0] != ends[1] else"),
    ],
    "inspection/contribution.py": [
        (
            "distances[np.arange(len(own)), own] = np.inf",
            "distances[np.arange(len(own)), own] = 0.0",
        ),
    ],
    "estimators/views.py": [
        ("(rank[:, None] * ratios % 1.0 - 0.5)", "(rank[:, None] * ratios % 1.0)"),
        ("np.unique(column)) <= 2 for", "np.unique(column)) <= 1 for"),
        ("scaled / local))", "scaled * local))"),
        ("np.sqrt(off.mean(0) / 2.0)", "np.sqrt(off.mean() / 2.0)"),
    ],
    "geometry/paths/neighbors.py": [
        ("found[:, -1] + rows.square().sum(1)", "np.inf + rows.square().sum(1)"),
        ("return graph.maximum(graph.T)", "return graph"),
        ("labels[graph.row] == labels[graph.col]", "labels[graph.row] != labels[graph.col]"),
        ("return inside[i], index[i, j]", "return inside[0], index[i, j]"),
    ],
    "geometry/paths/spanning_tree.py": [
        ("core = distances[:, min_samples - 1]", "core = distances[:, min_samples]"),
        ("np.where(degree > 1, weights, 0.0)", "np.where(degree > 0, 1.0, 0.0)"),
        ("- below[lower] < smallest", "+ below[lower] < smallest"),
        ("below[above] -= below[lower]", "below[above] += below[lower]"),
    ],
    "geometry/models/conductance.py": [
        ("leaving = first != second", "leaving = first == second"),
        ("LEAST_VOLUME * volume.mean()", "volume.mean()"),
    ],
    "geometry/models/gaussians.py": [
        ("shares * w[:, None]", "shares"),
        ("- 0.5 * np.square(off).sum(0) - log_det", "- np.square(off).sum(0) - log_det"),
        ("covariance = (off.T * share) @ off / m", "covariance = (off.T * share) @ off"),
    ],
    "estimators/kmeans/medoid_runs.py": [
        ("kmeans.cluster_centers_ * metric.scale", "kmeans.cluster_centers_"),
        ("for run in runs[:N_REFINED])", "for run in runs[-1:])"),
        (").fit(x, sample_weight=weights)", ").fit(x)"),
    ],
    "estimators/normal_answers.py": [
        ("log_density + self.metric_.log_volume", "log_density - self.metric_.log_volume"),
        (
            "self.score(X) + self._n_parameters * np.log",
            "self.score(X) - self._n_parameters * np.log",
        ),
        ("+ 2.0 * self._n_parameters", "+ self._n_parameters"),
        ("(joint, axis=1, keepdims=True)", "(joint, axis=0, keepdims=True)"),
    ],
    "estimators/normal.py": [
        ("return k * (d + 1) - 1 + of_covariance", "return k * (d + 1) + of_covariance"),
        ("mixture.means.numpy() * self._units", "mixture.means.numpy()"),
        ("rng.set_state(drawn)", "pass"),
        ("if bics[-1] <= min(bics)", "if bics[-1] >= min(bics)"),
    ],
    "estimators/distance.py": [
        ("np.quantile(errors, 0.99)", "np.quantile(errors, 0.01)"),
        ("self._exact(A, B, i, j).reshape(n, m)", "self._exact(A, B, i, j).reshape(m, n).T"),
        ("result[rows.start :, rows] = block.T", "result[rows.start :, rows] = 0.0"),
    ],
    "estimators/autoencoder/density.py": [
        ("dim=1) - math.log(n_samples)).numpy()", "dim=1)).numpy()"),
        ('"all", widths=(1.0,))', '"all")'),
        (
            "if noise else self._embedding.mean(z).numpy()",
            "if not noise else self._embedding.mean(z).numpy()",
        ),
    ],
    "estimators/autoencoder/missing.py": [
        ("(inputs - self._center) / self._scale", "inputs / self._scale"),
        ("x = np.where(missing, (seen", "x = np.where(missing, 0.0 * (seen"),
        ("log_variance.masked_fill(empty, self._prior.silence)", "log_variance"),
    ],
    "estimators/autoencoder/base.py": [
        ("rows[kept], keys[kept]", "rows[kept], -keys[kept]"),
    ],
    "estimators/autoencoder/noise.py": [
        ("rng), z, weights, self.contrast)", "rng), z, torch.ones_like(weights), self.contrast)"),
    ],
    "estimators/autoencoder/parts.py": [
        ("np.sqrt(variance[varying].mean())", "variance[varying].mean()"),
        (
            "known_average((X - center) ** 2, weights)",
            "known_average((X - center) ** 2, np.ones_like(weights))",
        ),
    ],
    "estimators/autoencoder/geometry.py": [
        ("location_weight, likelihood.scale_weight", "scale_weight, likelihood.scale_weight")
    ],
    "estimators/deep_regression/base.py": [
        ("weight[:p] /= scale", "weight[:p] *= scale"),
        ("noise=network.noise / scale", "noise=network.noise"),
    ],
    "estimators/deep_regression/geometry.py": [
        ("(weights[-1].T / noise).T, biases[-1] / noise", "weights[-1], biases[-1]"),
    ],
    "estimators/silhouette.py": [
        ("/ np.bincount(labels, weights)", "/ np.bincount(labels)"),
        ("labels).mean())", "labels).min())"),
    ],
    "estimators/neighbor_encoder.py": [
        ("np.sqrt(np.where(varying, variance, unit**2))", "np.where(varying, variance, unit**2)"),
        ("1.0 + share * (len(variance) - 1)", "1.0 - share * (len(variance) - 1)"),
    ],
    "nn/tangent_distance.py": [
        ("crossed[0] - crossed[1],", "crossed[0] + crossed[1],"),
        ("products + COST * np.eye(7)", "products"),
        ("mixed = -(changes", "mixed = (changes"),
        ("changes /= np.where(length > 0.0, length, 1.0)", "changes /= np.maximum(length, 1.0)"),
    ],
    "estimators/graph_encoder.py": [
        ("return distances, rows[near]", "return distances, near"),
        (
            "codes[known] = self.codes_[self._order[place[known]]]",
            "codes[known] = self.codes_[place[known]]",
        ),
    ],
    "support/latent.py": [
        ("(np.asarray(self), self.metric)", "(np.asarray(self), None)"),
        ("[np.asarray(result).ravel(), mark]", "[np.asarray(result).ravel()]"),
    ],
    "support/rows.py": [
        ("np.add.reduceat(counts, np.flatnonzero(first))", "counts[np.flatnonzero(first)]"),
        ("counted = np.flatnonzero(weights > 0)", "counted = np.flatnonzero(weights >= 0)"),
    ],
    "estimators/autoencoder/prior.py": [
        ("mixture.shares[order] > FREE /", "mixture.shares[order] > 0.0 *"),
        ("mixture.shares, descending=True", "mixture.shares, descending=False"),
    ],
    "estimators/metric_input.py": [
        ("carried is not None and carried != metric", "carried is not None and carried is None"),
        ("self.encoder_ is not None and not self._reads_tables", "self.encoder_ is not None"),
        ("get_tags(first).input_tags.string", "get_tags(first).input_tags.pairwise"),
    ],
}

INSPECTION = {
    "inspection/_style.py": [
        ("np.meshgrid(*axes)", 'np.meshgrid(*axes, indexing="ij")'),
        ("share = sizes**2 /", "share = sizes /"),
    ],
    "inspection/interactive.py": [
        ("np.argsort(-row.data, kind", "np.argsort(row.data, kind"),
        ("low, high = np.nanmin(images), np.nanmax(images)", "low, high = 0.0, 2.0"),
        ("escape(str(name)) for name", "str(name) for name"),
    ],
    "inspection/geodesic.py": [
        ("start + t[:, None] * (end - start)", "start + t[:, None] * end"),
        ("(self.frames - low) / np.where", "self.frames / np.where"),
    ],
    "inspection/latent_space.py": [
        ("metric.log_volume(at) / np.log(10.0)", "metric.log_volume(at)")
    ],
}

BY_FILE = GEOMETRY | FISHER_RAO | NETWORKS | LIKELIHOODS | ESTIMATORS | INSPECTION


class Fault(NamedTuple):
    """One line that is wrong."""

    path: str  # of the file, from the package on
    old: str
    new: str

    def source(self, root):
        """The file without the fault."""
        return (root / "skriem" / self.path).read_text()

    def line(self, root):
        """Where it stands, from 1 on."""
        return self.source(root).partition(self.old)[0].count("\n") + 1

    def changed(self, root):
        """The file with the fault."""
        return self.source(root).replace(self.old, self.new)


def faults():
    """All faults, in a list."""
    return [Fault(path, *pair) for path, pairs in BY_FILE.items() for pair in pairs]
