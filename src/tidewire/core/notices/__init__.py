"""Notices: what a publisher sends."""
