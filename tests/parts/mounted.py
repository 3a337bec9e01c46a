"""Files as a pod sees them: mounted by Kubernetes, and all swapped at once when they change."""

from __future__ import annotations

from pathlib import Path


class MountedFiles:
    """A folder as Kubernetes mounts secrets and ConfigMaps: links into a folder swapped whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0
        folder.mkdir()

    def write(self, **files: str) -> None:
        """Swap all files at once."""
        self._written += 1
        held = self._folder / f"..{self._written}"
        held.mkdir()
        for name, text in files.items():
            (held / name).write_text(text)
            if not (link := self._folder / name).is_symlink():
                link.symlink_to(Path("..data") / name)
        aside = self._folder / "..data_tmp"
        aside.symlink_to(held.name)
        aside.rename(self._folder / "..data")

    def file(self, name: str) -> str:
        """Path of a file, as settings name it."""
        return str(self._folder / name)
