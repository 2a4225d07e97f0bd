"""A stored model: parts by name, and a manifest with the digest of each."""

import json
from collections.abc import Mapping
from typing import Any

from remit.models.errors import ModelError
from remit.terms.encoding import canonical, digest

FORMAT = 1
MANIFEST = "manifest.json"
MODEL = "model.json"

Parts = Mapping[str, bytes]


def seal(model: Mapping[str, Any], more: Parts) -> dict[str, bytes]:
    """The parts of a model (`model.json` in canonical form and `more`) with the manifest that holds their digests."""
    parts = {MODEL: canonical({**model, "format": FORMAT}), **more}
    return {**parts, MANIFEST: canonical({"format": FORMAT, "parts": {name: digest(part) for name, part in sorted(parts.items())}})}


def unseal(parts: Parts, estimator: str) -> dict[str, Any]:
    """`model.json` of a sealed model of `estimator`.

    Raises `ModelError` naming every part that is missing, added or changed, for a newer format, and for a model of another estimator.
    """
    manifest = _read(parts, MANIFEST)
    listed = manifest["parts"]
    if not isinstance(listed, dict):
        raise ModelError("the manifest lists no parts", where=MANIFEST, do="Restore the model from where it was stored, or train anew.")
    found = {name: digest(part) for name, part in parts.items() if name != MANIFEST}
    faults = [f"`{name}` is missing" for name in sorted(set(listed) - set(found))]
    faults += [f"`{name}` is not part of the model" for name in sorted(set(found) - set(listed))]
    faults += [
        f"`{name}` was changed: its digest is {found[name]}, stored was {listed[name]}"
        for name in sorted(found)
        if listed.get(name, found[name]) != found[name]
    ]
    if faults:
        raise ModelError("the model is not what was stored", faults=faults, do="Restore it from where it was stored, or train anew.")
    model = _read(parts, MODEL)
    if model.get("estimator") != estimator:
        raise ModelError(f"this is a model of `{model.get('estimator')}`, not of `{estimator}`", where=MODEL, do="Load it as what it is.")
    return model


def estimator_of(parts: Parts) -> str:
    """The name of the estimator that a stored model is of. Raises `ModelError` where the model cannot be read."""
    return str(_read(parts, MODEL).get("estimator"))


def model_digest(parts: Parts) -> str:
    """The digest that stands for the whole model: that of its manifest, which holds the digests of all parts."""
    return digest(parts[MANIFEST])


def plain(value: Any) -> Any:
    """`value` with every float in it as text that reads back to the same number: what has a canonical form."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return repr(float(value)) if isinstance(value, float) else value


def _read(parts: Parts, name: str) -> dict[str, Any]:
    try:
        body = json.loads(parts[name])
        found = body["format"]
    except (KeyError, ValueError, TypeError):
        raise ModelError("this is not a stored model", where=name, do="Restore the model from where it was stored, or train anew.") from None
    if found != FORMAT:
        raise ModelError(f"the model has format {found}; this release reads {FORMAT}", where=name, do="Use a newer release of Remit, or train anew.")
    return dict(body)
