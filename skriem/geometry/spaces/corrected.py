"""An expensive space whose curves are relaxed with the second derivatives of a cheap one."""

from .base import Chords


class Corrected(Chords):
    """The energy and gradient of one space, the Hessian of another that is nearly the same.

    Newton's method with an approximate Hessian ends where the exact gradient vanishes, at the
    exact space's curves, and gains a digit or so with every step. A gradient takes one sweep
    forward and one back, whatever the dimension; a Hessian takes several times that.

    Parameters
    ----------
    exact, cheap : Space
    """

    def __init__(self, exact, cheap):
        self.exact, self.cheap = exact, cheap

    def squared_chords(self, points):
        return self.exact.squared_chords(points)

    def measure(self, points):
        return self.exact.measure(points)

    def measure_closely(self, points):
        return self.exact.measure_closely(points)

    def expand(self, nodes, n_sub):
        energy, gradient = self.exact.gradient(nodes, n_sub)
        return self.cheap.expand(nodes, n_sub)._replace(energy=energy, gradient=gradient)
