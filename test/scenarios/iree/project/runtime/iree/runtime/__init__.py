"""Stands for IREE's runtime."""
