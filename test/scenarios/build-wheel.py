"""A wheel of what is in a directory: python build-wheel.py DIRECTORY OUT NAME VERSION TAG [REQUIRES-PYTHON]

Stands for the builds that projects have, with compilers that take an hour. The same files give the same wheel.
"""

import base64
import hashlib
import os
import sys
import zipfile


def files_of(directory):
    for base, directories, names in os.walk(directory):
        directories[:] = sorted(name for name in directories if name != "__pycache__")
        for name in sorted(names):
            path = os.path.join(base, name)
            with open(path, "rb") as file:
                yield os.path.relpath(path, directory), file.read()


def metadata(name, version, tag, requires_python):
    python, abi, platforms = tag.split("-")
    tags = [f"Tag: {one}-{abi}-{platform}\n" for one in python.split(".") for platform in platforms.split(".")]
    pure = "true" if platforms == "any" else "false"
    yield "METADATA", (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: Stands for {name}\n"
        f"Requires-Python: {requires_python}\nDescription-Content-Type: text/plain\n\nStands for {name}.\n"
    )
    yield "WHEEL", f"Wheel-Version: 1.0\nGenerator: build-wheel\nRoot-Is-Purelib: {pure}\n{''.join(tags)}"


def main(directory, out, name, version, tag, requires_python=">=3.8"):
    distribution = name.replace("-", "_")
    information = f"{distribution}-{version}.dist-info"
    members = list(files_of(directory))
    for file, text in metadata(name, version, tag, requires_python):
        members.append((f"{information}/{file}", text.encode()))
    lines = []
    for file, data in members:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        lines.append(f"{file},sha256={digest},{len(data)}\n")
    record = f"{information}/RECORD"
    members.append((record, ("".join(lines) + f"{record},,\n").encode()))
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, f"{distribution}-{version}-{tag}.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file, data in members:
            member = zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0))
            member.external_attr = 0o644 << 16
            wheel.writestr(member, data, zipfile.ZIP_DEFLATED)
    print(path)


main(*sys.argv[1:])
