"""Measure the analysis on labelled collections: `python -m bench.anomaly --data dir`.

Every module of this folder whose name ends in `_section` writes one part of the page:
`section(folder) -> str` in Markdown, under a heading of the second level.
"""

import argparse
import importlib
import os
import pkgutil
import sys
import time
from pathlib import Path

import bench.anomaly

_SUFFIX = "_section"
_PAGE = Path("docs/reference/detection.md")
_MARK = "<!-- Below this line `make bench-anomaly` writes. -->"


def main() -> None:
    """Run the sections that were asked for, print them and write them to the page."""
    names = sections()
    reader = argparse.ArgumentParser(prog="python -m bench.anomaly")
    reader.add_argument("--data", default=os.environ.get("ANOMALY_DATA"), type=Path)
    reader.add_argument("--only", nargs="*", choices=names, default=names)
    reader.add_argument("--page", type=Path, default=_PAGE, help="where it is written")
    asked = reader.parse_args()
    if asked.data is None or not (asked.data / "manifest.json").is_file():
        sys.exit("--data names the folder that holds manifest.json")
    for name in asked.only:
        module = importlib.import_module(f"bench.anomaly.{name}{_SUFFIX}")
        began = time.process_time()
        part = module.section(asked.data)
        print(f"{part}\n\n({time.process_time() - began:.0f} s)\n", flush=True)
        # Another run may have written meanwhile.
        write(asked.page, {**parts_of(asked.page), name: part})


def sections() -> list[str]:
    """Return the names of the sections, sorted."""
    found = pkgutil.iter_modules(bench.anomaly.__path__)
    return sorted(
        one.name.removesuffix(_SUFFIX) for one in found if one.name.endswith(_SUFFIX)
    )


def parts_of(page: Path) -> dict[str, str]:
    """Return what the page holds of each section."""
    if not page.is_file():
        return {}
    _, _, below = page.read_text().partition(_MARK)
    found = {}
    for piece in below.split("\n<!-- part ")[1:]:
        name, _, text = piece.partition(" -->\n")
        found[name] = text.strip()
    return found


def write(page: Path, parts: dict[str, str]) -> None:
    """Put the parts below the mark, in order of their names; the rest stays."""
    above = page.read_text().partition(_MARK)[0] if page.is_file() else ""
    below = [f"<!-- part {name} -->\n{parts[name]}" for name in sorted(parts)]
    page.write_text(above + _MARK + "\n\n" + "\n\n".join(below) + "\n")


if __name__ == "__main__":
    main()
