"""Ways to spoil a sound set, one or more for each check of the doctor."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from edgeseg.data.procedural import procedural_clip
from edgeseg.data.scene import LABELS, SIGN

Picture = npt.NDArray[np.uint8]
Change = Callable[[Picture], npt.ArrayLike]
COLORS = np.array([label.color for label in LABELS], np.uint8)


def images(root: Path, split: str = "train") -> list[Path]:
    return sorted((root / "images" / split).iterdir())


def masks(root: Path, split: str = "train") -> list[Path]:
    return sorted((root / "masks" / split).iterdir())


def numbers(path: Path) -> Picture:
    """A mask's numbers, read by another library than the code's."""
    with Image.open(path) as stored:
        return np.asarray(stored).copy()


def put(path: Path, values: npt.ArrayLike) -> None:
    """Write a mask as grey numbers or RGB colours."""
    Image.fromarray(np.ascontiguousarray(values, np.uint8)).save(path)


def change_masks(root: Path, change: Change, split: str = "train", count: int | None = None) -> None:
    for path in masks(root, split)[:count]:
        put(path, change(numbers(path)))


def table(root: Path, text: str) -> None:
    (root / "classes.csv").unlink()
    name = "classes.csv" if "," in text else "classes.txt"
    (root / name).write_text(text)


def names() -> list[str]:
    return [label.name for label in LABELS]


def colour_table() -> str:
    return "name,r,g,b\n" + "".join(f"{label.name},{','.join(map(str, label.color))}\n" for label in LABELS)


# --- files ---


def truncate(root: Path) -> None:
    path = images(root)[3]
    path.write_bytes(path.read_bytes()[:900])


def damage(root: Path) -> None:
    """Store all pictures as JPEG, and overwrite some bytes in the middle of two."""
    for number, path in enumerate(images(root)):
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"), quality=95)
        path.unlink()
        if number in (1, 5):
            data = bytearray(path.with_suffix(".jpg").read_bytes())
            data[len(data) // 2 : len(data) // 2 + 40] = bytes(range(1, 41))
            path.with_suffix(".jpg").write_bytes(data)


def lose_mask(root: Path) -> None:
    masks(root)[3].unlink()


def other_size(root: Path) -> None:
    change_masks(root, lambda mask: mask[:-4], count=1)


def with_exif(path: Path, orientation: int, turn: Callable[[Image.Image], Image.Image]) -> None:
    """Store a picture turned, with the tag that says how to show it upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(path) as image:
        turn(image).save(path.with_suffix(".jpg"), quality=95, exif=exif)
    path.unlink()


def turn_by_exif(root: Path) -> None:
    # the mask is drawn on the picture as it is stored: lying
    path = images(root)[2]
    with_exif(path, 6, lambda image: image.transpose(Image.Transpose.ROTATE_90))
    change_masks_at(root, 2, lambda mask: np.rot90(mask))


def change_masks_at(root: Path, position: int, change: Change) -> None:
    path = masks(root)[position]
    put(path, change(numbers(path)))


def turn_half_by_exif(root: Path) -> None:
    # of the same size either way: only the edges tell
    for position, path in enumerate(images(root)[:10]):
        with_exif(path, 3, lambda image: image.transpose(Image.Transpose.ROTATE_180))
        change_masks_at(root, position, lambda mask: mask[::-1, ::-1])


def next_masks(steps: int) -> Callable[[Path], None]:
    """Give every picture the mask of one some steps further, round and round."""

    def plant(root: Path) -> None:
        paths = masks(root)
        held = [numbers(path) for path in paths]
        for path, values in zip(paths, [*held[steps:], *held[:steps]], strict=True):
            put(path, values)

    return plant


def turn_half_but_one_by_exif(root: Path) -> None:
    turn_half_by_exif(root)
    change_masks_at(root, 4, lambda mask: mask[::-1, ::-1])


def tag_rightly(root: Path) -> None:
    for path in images(root)[:10]:
        with_exif(path, 3, lambda image: image.transpose(Image.Transpose.ROTATE_180))


# --- pictures ---


def mix_sizes(root: Path) -> None:
    for folder in (images(root), masks(root)):
        with Image.open(folder[0]) as image:
            image.crop((0, 0, 100, 80)).save(folder[0])


def convert(mode: str, suffix: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        for path in images(root)[:3]:
            with Image.open(path) as image:
                image.convert(mode).save(path.with_suffix(suffix))
            if suffix != path.suffix:
                path.unlink()

    return plant


def deepen(root: Path) -> None:
    for path in images(root)[:3]:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert cv2.imwrite(str(path), picture.astype(np.uint16) * 257)


# --- masks ---


def unknown_area(root: Path) -> None:
    def change(mask: Picture) -> Picture:
        mask[10:30, 20:60] = 77
        return mask

    change_masks(root, change, count=2)


def jpeg_masks(suffix: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        for path in masks(root)[:5]:
            data = cv2.imencode(".jpg", numbers(path), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            path.unlink()
            path.with_suffix(suffix).write_bytes(data)

    return plant


def once_jpeg(root: Path) -> None:
    def change(mask: Picture) -> npt.ArrayLike:
        back = cv2.imdecode(cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_GRAYSCALE)
        return np.clip(np.asarray(back, np.uint8), 0, len(LABELS) - 1)  # all of them labels that there are

    change_masks(root, change)


def interpolated(root: Path) -> None:
    def change(mask: Picture) -> npt.ArrayLike:
        small = cv2.resize(mask, (86, 64), interpolation=cv2.INTER_NEAREST)
        return cv2.resize(small, (128, 96), interpolation=cv2.INTER_LINEAR)

    change_masks(root, change)


def interpolated_colours(root: Path) -> None:
    table(root, colour_table())
    change_masks(root, lambda mask: COLORS[mask])
    change_masks(root, lambda mask: COLORS[mask], "val")
    for path in masks(root)[:6]:
        small = cv2.resize(numbers(path), (86, 64), interpolation=cv2.INTER_NEAREST)
        put(path, cv2.resize(small, (128, 96), interpolation=cv2.INTER_LINEAR))


def count_from_1(root: Path) -> None:
    table(root, "\n".join(names()))

    def change(mask: Picture) -> Picture:
        mask += 1
        mask[:8, :8] = 0  # what has no class
        return mask

    change_masks(root, change)
    change_masks(root, change, "val")


def count_from_1_throughout(root: Path) -> None:
    table(root, "\n".join(names()))
    change_masks(root, lambda mask: mask + 1)
    change_masks(root, lambda mask: mask + 1, "val")


def ignore_254(root: Path) -> None:
    def change(mask: Picture) -> Picture:
        mask[:6] = 254
        return mask

    change_masks(root, change)


def binary_255(root: Path) -> None:
    table(root, "background\ncar\n")
    for split in ("train", "val"):
        change_masks(root, lambda mask: np.where(mask == 8, 255, 0), split)


def bgr_masks(root: Path) -> None:
    table(root, colour_table())
    for split in ("train", "val"):
        change_masks(root, lambda mask: COLORS[mask][..., ::-1], split)


def grey_of_colours(root: Path) -> None:
    table(root, colour_table())
    for split in ("train", "val"):
        for path in masks(root, split):
            Image.fromarray(COLORS[numbers(path)]).convert("L").save(path)


def palette_masks(root: Path, order: list[int], colors: npt.NDArray[np.uint8]) -> None:
    for path in masks(root)[:4]:
        image = Image.fromarray(np.argsort(order).astype(np.uint8)[numbers(path)])
        image.putpalette(colors[order].ravel().tolist())
        image.save(path)


def permuted_palette(root: Path) -> None:
    # another program saved the same colours in another order; the table says that numbers count
    order = list(range(len(LABELS)))
    order[5], order[2] = order[2], order[5]
    palette_masks(root, order, COLORS)


def foreign_palette(root: Path) -> None:
    palette_masks(root, list(range(len(LABELS))), 255 - COLORS // 2)


def ignore_all(root: Path) -> None:
    change_masks(root, lambda mask: np.full_like(mask, 255), count=2)


def one_class(root: Path) -> None:
    change_masks(root, lambda mask: np.full_like(mask, 2), count=2)


def specks(root: Path) -> None:
    def change(mask: Picture) -> Picture:
        rng = np.random.default_rng(0)
        mask[rng.integers(0, 96, 150), rng.integers(0, 128, 150)] = 0
        mask[rng.integers(0, 96, 150), rng.integers(0, 128, 150)] = 9
        return mask

    change_masks(root, change, count=3)


def mirror(root: Path) -> None:
    change_masks(root, lambda mask: mask[:, ::-1])


def upside_down(root: Path) -> None:
    change_masks(root, lambda mask: mask[::-1])


def quarter(root: Path) -> None:
    change_masks(root, np.rot90)


def shift(root: Path) -> None:
    change_masks(root, lambda mask: np.roll(mask, 6, 1))


# --- classes ---


def new_class(root: Path) -> None:
    with (root / "classes.csv").open("a") as handle:
        handle.write("tram,10,1,2,3,0\n")


def only_in(split: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        new_class(root)

        def change(mask: Picture) -> Picture:
            mask[60:90, 10:40] = 10
            return mask

        change_masks(root, change, split, count=4)

    return plant


def rare(root: Path) -> None:
    new_class(root)

    def change(mask: Picture) -> Picture:
        mask[60:62, 10:12] = 10
        return mask

    for split in ("train", "val"):
        change_masks(root, change, split, count=2)


# --- copies ---


def copy(root: Path, number: int, split: str, name: str = "copy_of_it") -> tuple[Path, Path]:
    image, mask = images(root)[number], masks(root)[number]
    targets = image.parents[1] / split / f"{name}{image.suffix}", mask.parents[1] / split / f"{name}.png"
    shutil.copyfile(image, targets[0])
    shutil.copyfile(mask, targets[1])
    return targets


def twice(root: Path) -> None:
    copy(root, 5, "train")


def leak(root: Path) -> None:
    copy(root, 5, "val")


def disagree(root: Path) -> None:
    _, mask = copy(root, 5, "train")
    values = numbers(mask)
    values[70:80, 30:50] = SIGN
    put(mask, values)


def near(split: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        # smaller, brighter, another encoder
        image, mask = copy(root, 5, split)
        picture = cv2.imread(str(image))
        assert picture is not None
        small = np.clip(cv2.resize(picture, (96, 72), interpolation=cv2.INTER_AREA) * 1.1 + 8, 0, 255)
        image.unlink()
        assert cv2.imwrite(str(image.with_suffix(".jpg")), small.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])
        put(mask, cv2.resize(numbers(mask), (96, 72), interpolation=cv2.INTER_NEAREST))

    return plant


def mirrored_leak(root: Path) -> None:
    image, mask = copy(root, 5, "val")
    picture = cv2.imread(str(image))
    assert picture is not None and cv2.imwrite(str(image), picture[:, ::-1])
    put(mask, numbers(mask)[:, ::-1])


def film(root: Path, split: str, seed: int, frames: range) -> None:
    """Add frames of a drive, named by their numbers."""
    scenes = list(islice(procedural_clip(frames.stop, (96, 128), seed, fps=5.0), frames.stop))
    for number in frames:
        assert cv2.imwrite(str(root / f"images/{split}/drive_{number:04d}.png"), scenes[number].image)
        put(root / f"masks/{split}/drive_{number:04d}.png", scenes[number].mask)


def cut_a_scene(root: Path) -> None:
    film(root, "train", 3, range(12))
    for number in (9, 10, 11):
        for kind in ("images", "masks"):
            name = f"drive_{number:04d}.png"
            (root / kind / "train" / name).rename(root / kind / "val" / name)


def cut_between_scenes(root: Path) -> None:
    # a drive with a pause of a thousand frames: the second part is another street
    film(root, "train", 3, range(12))
    film(root, "val", 4, range(8))
    for kind in ("images", "masks"):
        for path in (root / kind / "val").glob("drive_*"):
            path.rename(path.with_name(f"drive_{1000 + int(path.stem[-4:]):04d}.png"))
