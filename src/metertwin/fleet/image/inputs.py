"""What goes into an image, checked before anything is done, and a digest of all of it."""

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import metertwin
from metertwin.fleet.image.errors import ImageInputError, ImagePartMissingError

_PIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?==[A-Za-z0-9][A-Za-z0-9.!+_-]*"
)
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9._/:-]*")
_PACKAGE = Path(metertwin.__file__).parent


@dataclass(frozen=True, slots=True)
class ImageInputs:
    """What a person asked for.

    Attributes:
        tag: The image's reference.
        base: Reference of an image with Python, or None for one made from this machine's.
        added: Further packages: PACKAGE==VERSION, or the path of a wheel.
    """

    tag: str
    base: str | None = None
    added: tuple[str, ...] = ()

    def check(self) -> None:
        """Say what is wrong with them.

        Raises:
            ImageInputError: The tag is no reference, or a package is not pinned.
            ImagePartMissingError: A wheel does not exist.
        """
        if not _REFERENCE.fullmatch(self.tag):
            raise ImageInputError(
                f"Tag {self.tag!r} is not a reference such as metertwin:0.1.0: small letters, "
                "digits, '.', '_', '-', '/' and one ':'.",
                tag=self.tag,
            )
        for text in self.added:
            if text.endswith(".whl"):
                if not Path(text).is_file():
                    raise ImagePartMissingError(f"There is no wheel {text}.", path=text)
            elif not _PIN.fullmatch(text):
                raise ImageInputError(
                    f"{text!r} is not of the form PACKAGE==VERSION, nor the path of a wheel; an "
                    "image is made of exact versions only.",
                    package=text,
                )

    def digest(self) -> str:
        """Return a digest of everything that the image is made of and by, 16 hexadecimal digits.

        Two builds of the same digest make the same image, as far as the base stays the same.
        """
        sha256 = hashlib.sha256(f"{sys.version}\0{self.base}\0".encode())
        for path in (lock_file(), *_sources()):
            sha256.update(path.read_bytes())
        for text in sorted(self.added):
            content = Path(text).read_bytes() if text.endswith(".whl") else text.encode()
            sha256.update(b"\0" + hashlib.sha256(content).digest())
        return sha256.hexdigest()[:16]


def lock_file() -> Path:
    """Return the file that locks the dependencies: beside the source, or in the installed package.

    Raises:
        ImagePartMissingError: It is in neither place.
    """
    places = (_PACKAGE.parent.parent / "requirements.lock", _PACKAGE / "requirements.lock")
    for place in places:
        if place.is_file():
            return place
    raise ImagePartMissingError(
        f"There is no requirements.lock at {' or '.join(map(str, places))}; install MeterTwin "
        "whole.",
    )


def _sources() -> list[Path]:
    return sorted(
        path for path in _PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
