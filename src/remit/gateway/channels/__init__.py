"""Channels: one file each. A channel acts once, however often it is asked."""
