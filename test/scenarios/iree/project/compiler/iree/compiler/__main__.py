from iree.compiler.version import REVISION

print("IREE compiler of", REVISION)
