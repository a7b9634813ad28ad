"""Names of the files in a folder that match a pattern, without their suffix, one per line (for meson.build)."""

import pathlib
import sys

for path in sorted(pathlib.Path(sys.argv[1]).glob(sys.argv[2])):
    print(path.stem)
