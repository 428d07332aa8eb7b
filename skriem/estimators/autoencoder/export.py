"""A fitted autoencoder elsewhere: as torch modules, and as files in the format ONNX."""

from __future__ import annotations

import importlib.util
import os
from typing import Any, Literal

import torch
from sklearn.utils.validation import check_is_fitted

from ...nn.export import DecoderModule, EncoderModule

DTYPES = {"float64": torch.float64, "float32": torch.float32}


class _Export:
    """Networks for use without this package; see :class:`skriem.VAETransformer`."""

    _encoder: Any
    _decoders: Any
    _likelihood: Any
    _likelihood_parts: Any
    _prior: Any
    _center: Any
    _scale: Any
    _sees_missing: bool
    _n_columns: int
    _n_features_out: int
    likelihood: Any

    def encoder_module(self, dtype: Literal["float64", "float32"] = "float64") -> torch.nn.Module:
        """The encoder as a torch module, with the units of the data: rows to codes.

        Parameters
        ----------
        dtype : {"float64", "float32"}, default="float64"
            Of weights and input. In "float64" the module says what :meth:`transform` does, up to
            rounding.

        Returns
        -------
        torch.nn.Module
            Maps (n, n_features) to (n, n_components); in evaluation mode, with weights of its
            own. Where ``fit`` saw missing entries, NaN, it takes them too; otherwise codes of
            rows with missing entries are NaN.

        Raises
        ------
        ValueError
            If columns have likelihoods of their own: these read data frames. If rows are steps of
            sequences: their codes depend on each other.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_iris
        >>> from skriem import VAETransformer
        >>> X = load_iris().data
        >>> vae = VAETransformer(max_iter=20, random_state=0).fit(X)
        >>> with torch.no_grad():
        ...     Z = vae.encoder_module()(torch.as_tensor(X))
        >>> bool(abs(Z.numpy() - vae.transform(X)).max() < 1e-9)
        True
        """
        self._check_exports()
        if self._prior.has_steps:
            raise ValueError(
                "Under prior='dynamics' codes depend on all rows of their sequence, which modules "
                "do not see. Use transform, or decoder_module() for the way back."
            )
        return EncoderModule(
            self._encoder,
            self._likelihood,
            self._prior,
            self._center,
            self._scale,
            self._sees_missing,
            _dtype_of(dtype),
        ).eval()

    def decoder_module(self, dtype: Literal["float64", "float32"] = "float64") -> torch.nn.Module:
        """The decoder as a torch module, with the units of the data: codes to rows.

        Parameters
        ----------
        dtype : {"float64", "float32"}, default="float64"
            Of weights and input. In "float64" the module says what :meth:`inverse_transform`
            does, up to rounding.

        Returns
        -------
        torch.nn.Module
            Maps (n, n_components) to (n, n_features): means, or the most probable categories. In
            evaluation mode, with weights of its own.

        Raises
        ------
        ValueError
            If columns have likelihoods of their own: these decode to data frames.
        """
        self._check_exports()
        return DecoderModule(
            self._decoders,
            self._likelihood,
            self._likelihood_parts,
            self._center,
            self._scale,
            _dtype_of(dtype),
        ).eval()

    def to_onnx(
        self,
        file: str | os.PathLike[str],
        part: Literal["encoder", "decoder"] = "encoder",
        *,
        dtype: Literal["float64", "float32"] = "float32",
    ) -> None:
        """Write encoder or decoder to a file in the format ONNX, for any number of rows.

        Needs the packages onnx and onnxscript: ``pip install skriem[onnx]``.

        Parameters
        ----------
        file : str or path
            The file; what is there is overwritten.
        part : {"encoder", "decoder"}, default="encoder"
            What to write: see :meth:`encoder_module` and :meth:`decoder_module`. The input is
            "X" or "Z", the output the other.
        dtype : {"float64", "float32"}, default="float32"
            Of weights, input and output. onnxruntime has convolutions and softplus in "float32"
            only.

        Raises
        ------
        ImportError
            If a package is missing.
        ValueError
            If the codes come from a prior that is a mixture, whose posterior is no network, or
            columns have likelihoods of their own.
        """
        if part not in ("encoder", "decoder"):
            raise ValueError(f"part must be 'encoder' or 'decoder', got {part!r}.")
        module = self.encoder_module(dtype) if part == "encoder" else self.decoder_module(dtype)
        if part == "encoder" and not self._prior.keeps_means:
            raise ValueError(
                "Codes under this prior are no output of a network, and ONNX has nothing for them: "
                "use encoder_module(), or fit with prior='normal'."
            )
        for package in ("onnx", "onnxscript"):
            if importlib.util.find_spec(package) is None:
                raise ImportError(f"to_onnx needs the package {package}: pip install skriem[onnx].")
        names = ("X", "Z") if part == "encoder" else ("Z", "X")
        width = self._n_columns if part == "encoder" else self._n_features_out
        torch.onnx.export(
            module,
            (torch.zeros(2, width, dtype=_dtype_of(dtype)),),
            os.fspath(file),
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=[names[0]],
            output_names=[names[1]],
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )

    def _check_exports(self):
        check_is_fitted(self, "metric_")
        if self._likelihood.is_mixed:
            raise ValueError(
                "Where columns have likelihoods of their own, data are read from data frames, "
                "which modules do not take. Encode the columns first, and fit with one likelihood."
            )


def _dtype_of(name):
    if name not in DTYPES:
        raise ValueError(f"dtype must be one of {sorted(DTYPES)}, got {name!r}.")
    return DTYPES[name]
