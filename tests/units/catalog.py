#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal's catalog: an entry for each message that the log shows, for none else, and journalctl takes them.

usage: catalog.py SOURCE"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Of these the log says nothing, but for --debug, or they come with a later capability.
SILENT = {"HELD", "HANDED_OVER", "LEASE", "EVICTED"}


def main():
    source = Path(sys.argv[1])
    ids = dict(re.findall(r'MESSAGE_ID_(\w+)\s+"([0-9a-f]{32})"', (source / "daemon/alert/message-ids.h").read_text()))
    catalog = source / "conf/portreserved.catalog"
    text = catalog.read_text()
    fields = set(re.findall(r'"(PORTRESERVED_\w+)=', (source / "daemon/alert/alert.c").read_text()))
    results = [
        (sorted(re.findall(r"^-- ([0-9a-f]{32})$", text, re.M)) == sorted(i for k, i in ids.items() if k not in SILENT),
         "an entry for each message"),
        (set(re.findall(r"@(\w+)@", text)) <= fields, "only fields that messages have"),
        (text.count("\nSubject: ") == text.count("\nDocumentation: man:") == len(ids) - len(SILENT), "a subject and a manual page each"),
    ]
    if shutil.which("journalctl"):
        with tempfile.TemporaryDirectory() as root:
            for directory in "usr/lib/systemd/catalog", "var/lib/systemd/catalog":
                (Path(root) / directory).mkdir(parents=True)
            shutil.copy(catalog, Path(root) / "usr/lib/systemd/catalog")
            r = subprocess.run(["journalctl", f"--root={root}", "--update-catalog"], capture_output=True, text=True, check=False)
            said = r.stdout + r.stderr
            results.append((r.returncode == 0 and not re.search("invalid|fail", said, re.I), f"journalctl takes it {said}".strip()))
            listed = subprocess.run(["journalctl", f"--root={root}", "--list-catalog"], capture_output=True, text=True, check=False).stdout
            results.append((len(listed.splitlines()) == len(ids) - len(SILENT), "and lists every entry"))

    print(f"1..{len(results)}")
    for n, (ok, what) in enumerate(results, 1):
        print(f"{'ok' if ok else 'not ok'} {n} - {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
