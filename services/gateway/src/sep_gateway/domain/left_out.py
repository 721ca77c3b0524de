"""Members of the broker's answers that can't be read; each costs only itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A member of an answer that was left out.

    ``kind`` is what it should have been, such as ``trade``. ``name`` and ``instrument`` are as
    far as they could be read, otherwise empty. ``text`` says what is wrong with it.
    """

    kind: str
    name: str
    instrument: str = ""
    text: str

    def __str__(self) -> str:
        about = f" of {self.instrument}" if self.instrument not in ("", self.name) else ""
        return f"{self.kind} {self.name or '(no name)'}{about}: {self.text}"
