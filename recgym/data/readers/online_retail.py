"""Online Retail and Online Retail II: invoices of a British gift shop, as Parquet or CSV (the .xlsx exported).

Each line of an invoice is a purchase that no slate explains, with the invoice as its session. Channels: ``quantity``
(count) and ``price`` (of one piece, GBP). Left out and counted: cancellations (invoice "C..."), lines without a
customer, and lines whose quantity is not positive or whose price is negative. Lines of one invoice moment with the same
item are one purchase: quantities are added, prices averaged by row. Features: the customer's country, the item's
description. Source: https://archive.ics.uci.edu/dataset/352.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from recgym.data.readers.base import RawLog, Source, find_file
from recgym.data.readers.fields import DataType, channel_field, identifier, moment, parse
from recgym.data.readers.text import is_parquet, scan_parquet, scan_text, sniff_separator
from recgym.data.schema import Channel, ChannelKind, FeedbackSchema

__all__ = ["read"]

_QUANTITY = Channel("quantity", ChannelKind.COUNT)
_PRICE = Channel("price", ChannelKind.DURATION, "GBP")
# The second edition renames three columns.
_ALIASES = {"Invoice": "InvoiceNo", "Price": "UnitPrice", "Customer ID": "CustomerID"}
_COLUMNS = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID")


def read(source: Source) -> RawLog:
    """Read the invoices.

    Raises:
        ValueError: there is no table, it is an Excel workbook, or a column is missing.
    """
    file = find_file(source.path, ("*.parquet", "*.csv", "*.csv.gz", "*.xlsx"), "table of invoices")
    if file.suffix in (".xlsx", ".xls"):
        raise ValueError(f"{file} is an Excel workbook; expected its sheet exported as CSV, or Parquet")
    raw = _scan(file, source.scratch)
    customer = pl.col("CustomerID").cast(pl.String).str.strip_chars().str.replace(r"\.0$", "")
    raw = raw.with_columns(
        CustomerID=pl.when(customer.str.len_chars() > 0).then(customer),
        InvoiceDate=_iso(raw.collect_schema()["InvoiceDate"]),
    )
    fields = [
        identifier("user", "CustomerID"), identifier("item", "StockCode"), moment("time_s", "InvoiceDate", "iso"),
        identifier("session", "InvoiceNo"), channel_field(_QUANTITY, "Quantity"), channel_field(_PRICE, "UnitPrice"),
    ]  # fmt: skip
    return RawLog(
        rows=parse(raw, fields, file, drop=_unusable()),
        schema=FeedbackSchema((_QUANTITY, _PRICE)),
        merge={"quantity": pl.col("quantity").sum(), "price": pl.col("price").mean()},
        merge_reason="another line of the same customer, item and moment; quantities were added up",
        user_features=_feature(raw, "CustomerID", "Country", "country"),
        item_features=_feature(raw, "StockCode", "Description", "description"),
    )


def _scan(file: Path, scratch: Path) -> pl.LazyFrame:
    if is_parquet(file):
        raw = scan_parquet(file)
    else:
        raw = scan_text(file, scratch, sniff_separator(file), encoding="utf8-lossy")
    found = raw.collect_schema().names()
    raw = raw.rename({old: new for old, new in _ALIASES.items() if old in found})
    _require(raw.collect_schema().names(), file)
    return raw


def _require(names: Sequence[str], file: Path) -> None:
    for column in _COLUMNS:
        if column not in names:
            present = ", ".join(name for name in names if name != "line")
            raise ValueError(f"{file}: column {column!r} is missing; found {present}")


def _iso(dtype: DataType) -> pl.Expr:
    """Times as exported by a spreadsheet, ``12/1/2010 8:26`` (month first), rewritten; all others as they are."""
    date = pl.col("InvoiceDate")
    if dtype != pl.String:
        return date
    american = date.str.to_datetime("%m/%d/%Y %H:%M", strict=False).dt.strftime("%Y-%m-%d %H:%M:%S")
    return pl.coalesce(american, date)


def _unusable() -> dict[str, pl.Expr]:
    quantity = pl.col("Quantity").cast(pl.Float64, strict=False)
    price = pl.col("UnitPrice").cast(pl.Float64, strict=False)
    return {
        "cancellation (invoice number begins with C)": pl.col("InvoiceNo").cast(pl.String).str.starts_with("C"),
        "line without a customer": pl.col("CustomerID").is_null(),
        "quantity not positive": quantity.is_finite() & (quantity <= 0),
        "price negative": price.is_finite() & (price < 0),
    }


def _feature(raw: pl.LazyFrame, key: str, column: str, name: str) -> pl.LazyFrame | None:
    if column not in raw.collect_schema():
        return None
    return raw.select(
        pl.col(key).cast(pl.String).str.strip_chars().alias("id"), pl.col(column).alias(name)
    ).drop_nulls()
