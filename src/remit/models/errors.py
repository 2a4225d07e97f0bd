"""What can be wrong with a model or with what it is trained on."""

from remit.terms.errors import RemitError


class ModelError(RemitError):
    """A stored model that is not what was stored, or data from which nothing can be learned."""
