"""What can be wrong with what features are built from."""

from remit.terms.errors import RemitError


class FeatureError(RemitError):
    """A table, a label or an instant from which features cannot be built."""
