"""The reference's channel layer."""

from channels.layers import BaseChannelLayer, get_channel_layer


def channel_layer() -> BaseChannelLayer:
    """The one that settings name."""
    layer = get_channel_layer()
    assert layer is not None
    return layer
