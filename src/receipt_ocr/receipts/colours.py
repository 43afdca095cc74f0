"""Random changes of a training sample's colours, by albumentations; no pixel is moved."""

import os
import warnings
from difflib import get_close_matches
from functools import lru_cache
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from receipt_ocr.receipts.settings import AugmentationSettings, PixelTransform

Image = NDArray[np.uint8]


def recolour(image: Image, settings: AugmentationSettings, seed: int) -> Image:
    """Change brightness, contrast and blur of an RGB image, then apply the further transforms.

    The image is not changed. The same seed gives the same pixels, in any process.
    """
    transforms = _build(settings)
    if not transforms:
        return image
    # One seed each, because from a single one all transforms would draw the same number, and
    # would be applied together or not at all.
    seeds = np.random.SeedSequence(seed).generate_state(len(transforms)).tolist()
    for transform, own in zip(transforms, seeds, strict=True):
        transform.set_random_seed(own)
        image = transform(image=image)["image"]
    return image


def check_pixels(settings: AugmentationSettings) -> None:
    """Build the colour transforms and try those of ``settings.pixels`` on a small picture.

    Call it before the first page is read: the settings class cannot check them, because it does
    not load albumentations.

    Raises:
        ValueError: If albumentations has no colour transform of a name, or one does not take its
            arguments or does not work on a page; the message suggests alternatives.
    """
    _build(settings)


@lru_cache(maxsize=4)
def _build(settings: AugmentationSettings) -> tuple[Any, ...]:
    simple = settings.brightness, settings.contrast, settings.blur
    if not any(simple) and not settings.pixels:
        return ()
    alb = _import_albumentations()
    transforms = []
    if settings.brightness or settings.contrast:
        transforms.append(
            alb.RandomBrightnessContrast(
                brightness_limit=settings.brightness, contrast_limit=settings.contrast, p=0.5
            )
        )
    if settings.blur:
        transforms.append(
            alb.GaussianBlur(blur_limit=(3, 5), sigma_limit=(0.3, 1.0), p=settings.blur)
        )
    return *transforms, *(_build_one(alb, k, given) for k, given in enumerate(settings.pixels))


def _build_one(alb: Any, position: int, given: PixelTransform) -> Any:
    place = f"augmentation.pixels[{position}] {given.name}"
    kind = _find_class(alb, place, given.name)
    own = [key for key in signature(kind.__init__).parameters if key not in {"self", "strict", "p"}]
    if unknown := [key for key in given.arguments if key not in own]:
        raise ValueError(f"{place}: no argument {unknown[0]!r}; {_suggest(unknown[0], own)}")
    arguments = {key: _freeze(value) for key, value in given.arguments.items()}
    with warnings.catch_warnings():
        # Albumentations only warns of values it cannot use, and goes on with its defaults.
        warnings.simplefilter("error", UserWarning)
        try:
            transform, always = (kind(**arguments, p=chance) for chance in (given.p, 1.0))
        except (ValueError, TypeError, UserWarning) as error:
            raise ValueError(f"{place}: {_explain(error)}") from error
    _try_out(place, always)
    return transform


def _find_class(alb: Any, place: str, name: str) -> Any:
    known = sorted(
        key
        for key, kind in vars(alb).items()
        if isinstance(kind, type) and alb.ImageOnlyTransform in kind.__mro__[1:]
    )
    if name in known:
        return getattr(alb, name)
    if isinstance(found := getattr(alb, name, None), type) and issubclass(found, alb.DualTransform):
        raise ValueError(
            f"{place}: changes more than colours, and words would not follow; for geometry there "
            "are the flips, quarter_turns, rotation, scale_low, scale_high and perspective"
        )
    raise ValueError(
        f"{place}: albumentations {alb.__version__} has no transform of colours by this name; "
        f"{_suggest(name, known)}"
    )


def _explain(error: Exception) -> str:
    """Say what is wrong with a transform's arguments; a pydantic report becomes one line."""
    if not isinstance(error.__cause__, ValidationError):
        return str(error)
    faults = error.__cause__.errors(include_url=False)
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        + ("" if fault["type"] == "missing" else f", got {fault['input']!r}")
        for fault in faults
    )


def _try_out(place: str, transform: Any) -> None:
    """Check that a transform keeps the size and returns three channels of 8 bits."""
    picture = np.tile(np.arange(96, dtype=np.uint8)[:, None, None] * 2, (1, 64, 3))
    transform.set_random_seed(0)
    try:
        changed = transform(image=picture)["image"]
    except Exception as error:
        raise ValueError(
            f"{place}: does not work on a page alone ({type(error).__name__}: {error})"
        ) from error
    if changed.shape != picture.shape or changed.dtype != np.uint8:
        raise ValueError(
            f"{place}: makes {changed.dtype} pixels of shape {changed.shape} of a page of "
            f"{picture.shape}; a training page stays uint8 RGB (the network normalises it)"
        )


def _suggest(name: str, known: list[str]) -> str:
    lowered = {key.lower(): key for key in known}
    close = get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
    names = ", ".join(lowered[key] for key in close)
    return f"similar ones: {names}" if names else f"there are: {', '.join(known)}"


def _freeze(value: Any) -> Any:
    """Turn lists into tuples, which albumentations wants for ranges."""
    return tuple(_freeze(item) for item in value) if isinstance(value, list) else value


def _import_albumentations() -> Any:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else it looks for updates online
    import albumentations as alb  # noqa: PLC0415  # slow to import, needed only in training

    return alb
