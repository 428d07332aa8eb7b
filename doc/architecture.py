"""Draws the layers of the package from the imports that are in its files.

    python doc/architecture.py skriem architecture.svg

Every file is a box, every arrow an import; an import that a chain of others implies as well is
left out. Within a layer a file stands above all that it imports.
"""

import ast
import sys
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Outline

# Layers, the upper first; a tuple of them stands side by side.
LAYERS = (
    ("skriem.inspection",),
    ("skriem.estimators.kmeans", "skriem.estimators.deep_regression"),
    ("skriem.estimators",),
    ("skriem.estimators.autoencoder",),
    ("skriem.support", "skriem.decoders"),
    ("skriem.geometry.models", "skriem.nn.regression"),
    ("skriem.geometry.metrics", "skriem.nn"),
    ("skriem.geometry.solvers", "skriem.nn.priors"),
    ("skriem.geometry.paths", "skriem.geometry.spaces"),
    ("skriem.geometry.maps",),
    ("skriem.geometry", "skriem.calculus"),
)
TITLES = {
    "skriem.inspection": "inspection: pictures",
    "skriem.estimators.kmeans": "estimators.kmeans: clusters",
    "skriem.estimators.deep_regression": "estimators.deep_regression: binary codes",
    "skriem.estimators": "estimators: distances, densities, plain data",
    "skriem.estimators.autoencoder": "estimators.autoencoder: codes with a metric",
    "skriem.support": "support: what estimators share",
    "skriem.decoders": "decoders: trained networks as maps",
    "skriem.geometry.models": "geometry.models: clusters and densities",
    "skriem.nn.regression": "nn.regression",
    "skriem.geometry.metrics": "geometry.metrics: for users",
    "skriem.nn": "nn: networks, likelihoods, training",
    "skriem.geometry.solvers": "geometry.solvers: curves",
    "skriem.nn.priors": "nn.priors",
    "skriem.geometry.paths": "geometry.paths: graphs and grids",
    "skriem.geometry.spaces": "geometry.spaces: what measures chords",
    "skriem.geometry.maps": "geometry.maps: maps and tensors, ours and users'",
    "skriem.geometry": "geometry: what all use",
    "skriem.calculus": "calculus: derivatives",
}
COLOURS = {
    "skriem.inspection": "#f3e3f0",
    "skriem.estimators": "#dcebf7",
    "skriem.support": "#e8ecf0",
    "skriem.decoders": "#fbe3d9",
    "skriem.geometry": "#fdf0d5",
    "skriem.nn": "#dff1e4",
    "skriem.calculus": "#eeeeee",
}
OUTSIDE = ("sklearn", "torch", "numpy", "scipy", "matplotlib", "joblib")
INK, FAINT = "#222222", "#5b6570"
# In inches.
BOX, ROW, GAP, TITLE, PAD = 0.28, 0.62, 0.16, 0.36, 0.42
PER_LETTER, PER_SMALL_LETTER, PASSAGE = 0.086, 0.068, 0.16
BETWEEN = 0.45
N_SWEEPS = 60


def imports(package):
    """What every module of a package imports.

    Parameters
    ----------
    package : Path
        Its folder.

    Returns
    -------
    dict of str to set of str
        Names of modules of the package with the modules, of any package, that they import
        anywhere in the file, except for type checkers alone.
    """
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: set(_imported(name, path, files)) for name, path in files.items()}


def _imported(name, path, known):
    # Relative imports start at the package that the file is in.
    home = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                # ``from . import curves`` imports a module, ``from .curves import x`` a name.
                whole = f"{base}.{alias.name}"
                yield whole if whole in known else base


def _run(node):
    """What is below a node of a syntax tree, without what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from _run(child)


def layer_of(module):
    """The folder of ours that a module belongs to, or the first name of a foreign one."""
    names = module.split(".")
    prefixes = (".".join(names[:k]) for k in range(len(names), 0, -1))
    return next((prefix for prefix in prefixes if prefix in TITLES), names[0])


def floor_of(module):
    """The outermost folder of ours that a module belongs to, or as :func:`layer_of`."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] == "skriem" else names[0]


def reduced(edges):
    """A graph without edges that longer ways imply, and a height for every node.

    Parameters
    ----------
    edges : dict of str to set of str
        Without cycles.

    Returns
    -------
    dict of str to set of str, dict of str to int
        Nodes are above those they have edges to, and no higher than they need be; those that
        others have edges to are as high as they can be.
    """
    below, height = {}, {}

    def visit(node, path=()):
        if node in path:
            raise ValueError(f"Imports go in a circle: {' -> '.join([*path, node])}.")
        if node not in below:
            for other in edges[node]:
                visit(other, (*path, node))
            below[node] = set().union(*({other} | below[other] for other in edges[node]))
            height[node] = 1 + max((height[other] for other in edges[node]), default=-1)

    for node in edges:
        visit(node)
    kept = {
        node: {o for o in others if not any(o in below[via] for via in others if via != o)}
        for node, others in edges.items()
    }
    for node in sorted(edges, key=height.get, reverse=True):
        above = [height[user] for user, others in edges.items() if node in others]
        height[node] = min(above) - 1 if above else height[node]
    return kept, height


def draw(package, path):
    """Draw the layers of the package in the folder `package` and write them to `path`."""
    found = imports(package)
    layers = [tuple(name for name in row if name in map(layer_of, found)) for row in LAYERS]
    layers = [row for row in layers if row]
    graphs = {name: _files(found, name) for row in layers for name in row}
    total = max(sum(_widest(graphs[name]) + GAP for name in row) - GAP for row in layers)
    figure = plt.figure()
    ax = figure.add_axes((0, 0, 1, 1))
    top, boxes, uses = 0.0, {}, {name: _used(found, name) for row in layers for name in row}
    for row in layers:
        depth = max(max(graphs[name][1].values()) for name in row) + 1
        size = TITLE + depth * ROW + PAD
        shares = np.array([_widest(graphs[name]) for name in row])
        widths = (total - GAP * (len(row) - 1)) * shares / shares.sum()
        left = 0.0
        for name, width in zip(row, widths):
            _draw_layer(ax, name, graphs[name], uses[name], left, top, width, size)
            boxes[name] = (left, top - size, width, size)
            left += width + GAP
        top -= size + BETWEEN
    _draw_outside(ax, found, top, total)
    for upper, lower in zip(layers[:-1], layers[1:]):
        for name in upper:
            for other in lower:
                if other in uses[name]:
                    _draw_arrow(ax, boxes[name], boxes[other])
    low, high = top - 1.5, 0.15
    ax.set(xlim=(-0.15, total + 0.15), ylim=(low, high))
    ax.axis("off")
    figure.set_size_inches(total + 0.3, high - low)
    figure.savefig(path, facecolor="white")
    plt.close(figure)


def _files(found, layer):
    """Imports among the files of a layer, reduced, and their heights."""
    # A package's own __init__ only collects what others define.
    files = [name for name in found if layer_of(name) == layer and name not in TITLES]
    return reduced({name: {o for o in found[name] if o in files and o != name} for name in files})


def _used(found, layer):
    """Other folders that files of a layer import from."""
    files = [name for name in found if layer_of(name) == layer and name not in TITLES]
    return {layer_of(other) for name in files for other in found[name]} & TITLES.keys() - {layer}


def _width(name):
    return PER_LETTER * len(name.split(".")[-1]) + 0.22


def _widest(graph):
    """Room that the widest row of a layer needs."""
    edges, height = graph
    rows = dict.fromkeys(height.values(), 2 * PAD)
    for name, level in height.items():
        rows[level] += _width(name) + GAP
        for other in edges[name]:
            for crossed in range(height[other] + 1, level):
                rows[crossed] += PASSAGE
    return max(rows.values())


def _arranged(edges, height, left, width):
    """Where boxes go, and the ways of arrows between boxes.

    Long arrows take a place of their own in each row that they cross, so that they pass beside
    boxes. Rows are swept up and down, and everything moves to the middle of what it is tied to.

    Returns
    -------
    dict of str to float, list of list of (float, int)
        Middles of the boxes; for each arrow its places, with their rows, from top to bottom.
    """
    rows = [[] for _ in range(max(height.values()) + 1)]
    sizes, ties, ways = {}, {}, []
    for name, level in height.items():
        rows[level].append(name)
        sizes[name] = _width(name) + GAP
    for name in sorted(height):
        for other in sorted(edges[name]):
            levels = range(height[name] - 1, height[other], -1)
            crossed = [(name, other, level) for level in levels]
            for place in crossed:
                rows[place[-1]].append(place)
                sizes[place] = PASSAGE
            way = [name, *crossed, other]
            ways.append([(place, height[name] - k) for k, place in enumerate(way)])
            for one, two in zip(way[:-1], way[1:]):
                ties.setdefault(one, []).append(two)
                ties.setdefault(two, []).append(one)
    x = {}
    for row in rows:
        x.update(zip(row, np.linspace(left + PAD, left + width - PAD, len(row) + 2)[1:-1]))
    for sweep in range(N_SWEEPS):
        for row in rows if sweep % 2 else rows[::-1]:
            wanted = {place: np.mean([x[o] for o in ties.get(place, [place])]) for place in row}
            row.sort(key=wanted.get)
            x.update(_apart([wanted[p] for p in row], row, sizes, left + PAD, left + width - PAD))
    aside = left + width / 2 - (min(x.values()) + max(x.values())) / 2
    x = {place: value + aside for place, value in x.items()}
    return x, [[(x[place], level) for place, level in way] for way in ways]


def _apart(wanted, row, sizes, low, high):
    """Places of a row as near to those wanted as their sizes allow, the order kept."""
    half = np.array([sizes[place] / 2 for place in row])
    # Where each would stand if the row were packed; what is left must not decrease.
    packed = np.concatenate([[0.0], np.cumsum(half[1:] + half[:-1])])
    free = np.array(wanted) - packed
    # Pools of neighbours that move together, by adjacent violators.
    pools = []
    for value in free:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            value, n = pools.pop()
            pools[-1] = [
                (pools[-1][0] * pools[-1][1] + value * n) / (pools[-1][1] + n),
                pools[-1][1] + n,
            ]
    moved = np.concatenate([[value] * n for value, n in pools])
    moved = np.clip(moved, low + half[0], high - half[-1] - packed[-1])
    return zip(row, packed + moved)


def _draw_layer(ax, layer, graph, used, left, top, width, size):
    edges, height = graph
    ax.add_patch(
        FancyBboxPatch(
            (left, top - size), width, size, "round,pad=0,rounding_size=0.08",
            facecolor=COLOURS[floor_of(layer)], edgecolor="none", zorder=0,
        )
    )  # fmt: skip
    ax.text(
        left + 0.18, top - 0.14, TITLES[layer], va="top", fontsize=12, fontweight="bold", color=INK
    )
    below = [name.removeprefix("skriem.") for row in LAYERS for name in row if name in used]
    said = "imports " + ", ".join(below) if below else ""
    lines = textwrap.fill(said, int(width / PER_SMALL_LETTER))
    ax.text(left + 0.18, top - size + 0.1, lines, va="bottom", fontsize=8, color=FAINT)
    x, ways = _arranged(edges, height, left, width)

    highest = max(height.values())

    def y(level):
        return top - TITLE - ROW + 0.16 - (highest - level) * ROW + BOX / 2

    for name, level in height.items():
        ax.text(
            x[name], y(level), name.split(".")[-1], ha="center", va="center", fontsize=9.5,
            color=INK, zorder=4,
            bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": FAINT, "lw": 0.8},
        )  # fmt: skip
    for way in ways:
        corners = [(way[0][0], y(way[0][1]) - BOX / 2)]
        for place, level in way[1:-1]:
            corners += [(place, y(level) + BOX / 2), (place, y(level) - BOX / 2)]
        corners.append((way[-1][0], y(way[-1][1]) + BOX / 2 + 0.02))
        ax.add_patch(
            FancyArrowPatch(
                path=_smooth(corners), arrowstyle="-|>", mutation_scale=7, color=FAINT, lw=0.8,
                alpha=0.8, zorder=2,
            )
        )  # fmt: skip


def _smooth(corners):
    """A line that leaves and meets rows upright: curves between them, straight across."""
    points, codes = [corners[0]], [Outline.MOVETO]
    for k, (start, end) in enumerate(zip(corners[:-1], corners[1:])):
        if k % 2:
            points, codes = [*points, end], [*codes, Outline.LINETO]
        else:
            middle = (start[1] + end[1]) / 2
            points += [(start[0], middle), (end[0], middle), end]
            codes += [Outline.CURVE4] * 3
    return Outline(points, codes)


def _draw_arrow(ax, upper, lower):
    """A bold arrow from one layer to the next below it, where both are."""
    left, right = max(upper[0], lower[0]), min(upper[0] + upper[2], lower[0] + lower[2])
    x = (left + right) / 2 if left < right else lower[0] + lower[2] / 2
    ax.add_patch(
        FancyArrowPatch(
            (x, upper[1]), (x, lower[1] + lower[3]), arrowstyle="-|>", mutation_scale=22,
            color=INK, lw=2.2, shrinkA=2, shrinkB=2, zorder=5,
        )
    )  # fmt: skip


def _draw_outside(ax, found, top, total):
    """Other packages, and which layers use them."""
    users = {
        other: sorted({floor_of(m) for m, used in found.items() if other in map(layer_of, used)})
        for other in OUTSIDE
    }
    users = {other: layers for other, layers in users.items() if layers}
    slot = total / len(users)
    for k, (other, layers) in enumerate(users.items()):
        x = (k + 0.5) * slot
        ax.text(x, top, other, ha="center", va="top", fontsize=11, fontweight="bold", color=INK)
        names = [layer.split(".")[-1] for layer in layers]
        ax.text(
            x, top - 0.26, "used by\n" + "\n".join(names), ha="center", va="top", fontsize=8.5,
            color=FAINT,
        )  # fmt: skip


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2])
