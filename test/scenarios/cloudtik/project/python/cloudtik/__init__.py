"""Stands for CloudTik."""

import sys

from cloudtik.version import __commit__, __version__


def main():
    print("cloudtik", __version__, "of", __commit__, "on Python %d.%d" % sys.version_info[:2])
