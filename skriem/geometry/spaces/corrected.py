"""An expensive space whose curves are relaxed with the second derivatives of a cheap one."""


class Corrected:
    """The energy and gradient of one space, the Hessian of another that is nearly the same.

    Newton's method with an approximate Hessian ends where the exact gradient vanishes, at the
    exact space's curves, and gains a digit or so with every step. A gradient takes one sweep
    forward and one back, whatever the dimension; a Hessian takes several times that.

    Parameters
    ----------
    exact, cheap : Embedded or Field
    """

    def __init__(self, exact, cheap):
        self.exact, self.cheap = exact, cheap
        self.squared_chords, self.measure = exact.squared_chords, exact.measure

    def expand(self, nodes, n_sub):
        """Expansion of the energy at `nodes` (B, T+1, d), each segment cut into `n_sub`."""
        energy, gradient = self.exact.gradient(nodes, n_sub)
        return self.cheap.expand(nodes, n_sub)._replace(energy=energy, gradient=gradient)
