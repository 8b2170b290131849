"""Stands for IREE's compiler."""
