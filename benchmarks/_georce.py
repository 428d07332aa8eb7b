"""GEORCE, geodesics as a control problem (Rygaard and Hauberg, 2025), in torch and in batches.

A curve is a sum of steps u_t, its energy the sum of u_t' G(x_t) u_t. With the metric and its slope
held, the best steps to the end point are known in closed form; a line search leads from the old
to these. Derivatives are the package's own, which are written out for decoders.
"""

import numpy as np
import torch

# As published: intervals, largest norm of the gradient, iterations.
N_INTERVALS, GRADIENT, MAX_ITER = 100, 1e-4, 1000
# Of the line search, which is easier to please than the authors' (0.9 and 0.9) and so faster.
SHRINK, ARMIJO, MAX_SHRINKS = 0.5, 1e-4, 20


def expand(metric, x, u):
    """Tensors (n, T, d, d) and slopes of u' G u by the place, (n, T, d)."""
    _, jacobian, curvature = metric._space.embed.linearise(x.flatten(0, 1))
    steps = u.flatten(0, 1)[..., None]
    slope = 2.0 * curvature((jacobian.mT @ steps).squeeze(-1)) @ steps
    tensor = jacobian @ jacobian.mT
    return tensor.view(*x.shape, -1), slope.view(x.shape)


def energy_of(tensor, u):
    """The terms of the energy and G u."""
    momentum = (tensor @ u[..., None]).squeeze(-1)
    return (u * momentum).sum((1, 2)), momentum


@torch.no_grad()
def georce(metric, a, b, max_iter=MAX_ITER):
    """Points of the curves (n, T+1, d) and whether each converged, (n,)."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    n, d = a.shape
    u = ((b - a) / N_INTERVALS)[:, None].repeat(1, N_INTERVALS, 1)
    converged, going = torch.zeros(n, dtype=torch.bool), torch.arange(n)

    def places(rows, steps):
        return a[rows, None] + torch.cat(
            [torch.zeros_like(steps[:, :1]), steps.cumsum(1)[:, :-1]], 1
        )

    tensor, slope = expand(metric, places(going, u), u)
    for _ in range(max_iter):
        if len(going) == 0:
            break
        here = u[going]
        energy, momentum = energy_of(tensor, here)
        # Sums of the slopes of all later places.
        later = slope.flip(1).cumsum(1).flip(1) - slope
        gradient = (slope + 2.0 * (momentum.roll(1, 1) - momentum))[:, 1:]
        done = gradient.flatten(1).norm(dim=1) < GRADIENT
        inverse = torch.linalg.inv(tensor)
        pulled = (inverse @ later[..., None]).squeeze(-1).sum(1)
        last = -torch.linalg.solve(inverse.sum(1), 2.0 * (b - a)[going] + pulled)
        best = -0.5 * (inverse @ (last[:, None] + later)[..., None]).squeeze(-1)
        promised = ((2.0 * momentum + later) * (best - here)).sum((1, 2))

        left, share = torch.nonzero(~done).squeeze(1), 1.0
        moved = torch.zeros_like(done)
        for _ in range(MAX_SHRINKS):
            if len(left) == 0:
                break
            trial = here[left] + share * (best - here)[left]
            its_tensor, its_slope = expand(metric, places(going[left], trial), trial)
            lower = (
                energy_of(its_tensor, trial)[0] <= energy[left] + ARMIJO * share * promised[left]
            )
            won = left[lower]
            u[going[won]] = trial[lower]
            tensor[won], slope[won], moved[won] = its_tensor[lower], its_slope[lower], True
            left, share = left[~lower], SHRINK * share
        converged[going[done]] = True
        going, tensor, slope = going[moved], tensor[moved], slope[moved]
    points = torch.cat([places(torch.arange(n), u), b[:, None]], dim=1)
    return points.numpy(), np.asarray(converged)
