"""Initial value problems in batches: the method of Dormand and Prince of order 8.

Each trajectory has its own step size and stops on its own, so its result does not depend on
the others. Integrators for single problems share one step among all that are passed together;
the method's coefficients are SciPy's.
"""

import torch
from scipy.integrate import DOP853

# Derivatives that are kept of every trajectory: those of the stages and one at the end.
N_SLOPES = DOP853.n_stages + 1
SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0
FIRST_STEP = 0.1


def integrate(derivative, state, scale, rtol, max_steps, first_step=FIRST_STEP):
    """Solve y' = f(y) from time 0 to 1.

    Parameters
    ----------
    derivative : callable
        Maps states (n, k) to their time derivatives, each row on its own.
    state : Tensor of shape (n, k)
    scale : Tensor of shape (n, 1)
        Size against which the errors of a trajectory are judged.
    rtol : float
        Largest error of a step, as a fraction of `scale`.
    max_steps : int
    first_step : float
        What is tried first.

    Returns
    -------
    state : Tensor of shape (n, k)
    finished : Tensor of shape (n,) bool
        Whether time 1 was reached with finite numbers. The others are where they got to.
    """
    tables = (DOP853.A, DOP853.B[None], DOP853.E3[None], DOP853.E5[None])
    stages, weights, third, fifth = (torch.as_tensor(table).to(state) for table in tables)
    state = state.clone()
    smallest = 4.0 * torch.finfo(state.dtype).eps
    time, step = state.new_zeros(len(state)), state.new_full((len(state),), first_step)
    slope = derivative(state)
    active = torch.nonzero(slope.isfinite().all(1)).squeeze(1)

    def combined(row, slopes):
        return torch.einsum("s,nks->nk", row, slopes)

    for _ in range(max_steps):
        if len(active) == 0:
            break
        h = torch.minimum(step[active], 1.0 - time[active])[:, None]
        start, slopes = state[active], slope[active][..., None]
        for s in range(1, len(stages)):
            ahead = derivative(start + h * combined(stages[s, :s], slopes))
            slopes = torch.cat([slopes, ahead[..., None]], dim=-1)
        trial = start + h * combined(weights[0], slopes)
        slopes = torch.cat([slopes, derivative(trial)[..., None]], dim=-1)
        # SciPy's estimate, from the embedded methods of orders 5 and 3.
        by_fifth = (combined(fifth[0], slopes) / scale[active]).square().mean(1)
        by_third = (combined(third[0], slopes) / scale[active]).square().mean(1)
        size = h[:, 0] * by_fifth / (by_fifth + 0.01 * by_third).sqrt().clamp(min=1e-300) / rtol
        size = torch.where(trial.isfinite().all(1) & size.isfinite(), size, torch.inf)
        good = size <= 1.0
        taken = active[good]
        state[taken], slope[taken] = trial[good], slopes[good][..., -1]
        time[taken] += h[good, 0]
        step[active] = h[:, 0] * (SAFETY * size.clamp(min=1e-12) ** -0.125).clamp(SHRINK, GROW)
        # A last step so small that it leads nowhere.
        active = active[(time[active] < 1.0 - smallest) & (step[active] > smallest)]
    return state, (time >= 1.0 - smallest) & state.isfinite().all(1)
