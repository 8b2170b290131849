__version__ = "1.4.0"
__commit__ = "unknown"
