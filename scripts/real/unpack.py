"""The files of an exported zip into a folder, without the folder that holds them there: unpack.py ZIP OUT_DIR"""

import os
import shutil
import sys
import zipfile

path, out = sys.argv[1:3]
with zipfile.ZipFile(path) as archive:
    for entry in archive.infolist():
        with archive.open(entry) as source, open(os.path.join(out, os.path.basename(entry.filename)), "wb") as target:
            shutil.copyfileobj(source, target)
