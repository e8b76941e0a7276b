"""Several saved logs, each of users of its own, as one."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from recgym.data.schema import InteractionLog, LeftOut
from recgym.files import atomic_folder, read_json

__all__ = ["merge_saved"]


def merge_saved(parts: Sequence[Path], out: Path, source: str | None = None) -> None:
    """Write the rows of saved logs into one saved log, one part after the other; no more than a part is in memory.

    Users, sessions and slates are numbered on from part to part, items by their original ids in order. Features of
    users and items are left out.

    Args:
        parts: folders of saved logs of the same feedback channels and the same unit of time, without users in common.
        out: the folder to write, all or nothing.
        source: what the log says of where it comes from; what the first part says if None.

    Raises:
        ValueError: there are no parts, one is not a saved log, or they do not go together.
    """
    if not parts:
        raise ValueError(f"{out}: at least one log is needed to be merged, found none")
    _check_alike(parts)
    items = pl.concat([_ids(part, "items") for part in parts]).unique().sort()
    numbers = pl.DataFrame({"id": items}).with_row_index("number").with_columns(pl.col("number").cast(pl.Int64))
    users = pl.concat([_ids(part, "users") for part in parts])
    if users.n_unique() < len(users):
        raise ValueError(f"{out}: user {users.filter(users.is_duplicated())[0]!r} is in more than one of the logs")
    left_out: Counter[str] = Counter()
    offsets = {"user": 0, "session": 0, "slate": 0}
    with atomic_folder(out, "log.json") as target:
        written = []
        for number, part in enumerate(parts):
            log = InteractionLog.load(part)
            left_out.update({entry.reason: entry.rows for entry in log.left_out})
            mapped = pl.DataFrame({"id": log.item_ids}).join(numbers, on="id", how="left", maintain_order="left")
            frame = log.frame.with_columns(
                *(pl.col(name) + start for name, start in offsets.items()),
                item=mapped["number"].gather(log.frame["item"]),
            )
            offsets["user"] += log.n_users
            for name in ("session", "slate"):
                last = frame[name].max()
                offsets[name] = offsets[name] if last is None else int(last) + 1  # type: ignore[arg-type]
            written.append(target / f"part-{number:06d}.parquet")
            frame.write_parquet(written[-1])
        pl.scan_parquet(written).sink_parquet(target / "rows.parquet")
        for file in written:
            file.unlink()
        merged = InteractionLog(
            frame, log.schema, users, items, None, None,
            tuple(LeftOut(reason, rows) for reason, rows in left_out.items()), source or log.source, log.time_unit,
            log.notes,
        )  # fmt: skip
        merged.save_maps(target)


def _check_alike(parts: Sequence[Path]) -> None:
    first = read_json(parts[0] / "log.json")
    for part in parts[1:]:
        other = read_json(part / "log.json")
        for name in ("channels", "time_unit"):
            if other[name] != first[name]:
                raise ValueError(
                    f"{part} has {name} {other[name]}, {parts[0]} has {first[name]}: they do not go together"
                )


def _ids(part: Path, kind: str) -> pl.Series:
    return pl.read_parquet(part / f"{kind}.parquet")["id"]
