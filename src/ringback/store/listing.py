"""What a collection is to the store: which rows of which table make it, in which order, counted how."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Table

from ringback.record import Attribute, Record, attributes
from ringback.store.rows import EVERYTHING
from ringback.store.schema import counted


@dataclass(frozen=True, slots=True)
class Tally:
    """The counters that hold the total of a listing without a filter: of `resource`, all or one attribute's value."""

    resource: str
    attribute: str = EVERYTHING
    value: str = ""
    """The name of the bound parameter whose value is counted; empty for a fixed value, or for all rows."""
    fixed: str = ""
    """The counted value, where it is the same for everybody."""


@dataclass(frozen=True)
class Listing:
    """A collection: rows `t` of a record type, belonging to the customer bound as `:customer`.

    `newest` is the attribute of the default order (descending); `where` narrows the rows (own ones, one user's) with
    parameters that the caller binds; `sql` replaces the expression of an attribute, for a `source` that joins.
    """

    name: str
    record: type[Record]
    table: Table | None
    newest: str = "id"
    source: str = ""
    where: str = ""
    customer: str = 't."customer_id"'
    tally: Tally | None = None
    sql: Mapping[str, str] = field(default_factory=dict)
    searched: frozenset[str] = frozenset()
    """Attributes with a trigram index."""
    others: Mapping[str, Attribute] = field(default_factory=dict)
    """What a filter may name besides the record's attributes: those of records that belong to a row."""
    day: str | None = None
    """The attribute by whose day the rows are counted, where the record calls it otherwise than the table."""

    def attributes(self) -> Mapping[str, Attribute]:
        return attributes(self.record)

    def properties(self) -> Mapping[str, Attribute]:
        """What a filter may name."""
        return {**self.attributes(), **self.others} if self.others else self.attributes()

    def expression(self, attribute: Attribute) -> str:
        return self.sql.get(attribute.name, attribute.sql)

    def rows_from(self) -> str:
        if self.source:
            return self.source
        assert self.table is not None
        return f'"{self.table.name}" t'

    def base(self) -> str:
        own = f"{self.customer} = :customer"
        return f"{own} AND {self.where}" if self.where else own

    def own_by(self, column: str) -> "Listing":
        """Of these rows those whose `column`, which is counted by value, is the caller."""
        assert self.table is not None
        tally = Tally(self.table.name, column, "me")
        return replace(self, name=f"own {self.name}", where=f"t.{column} = :me", tally=tally)

    def day_attribute(self) -> str | None:
        """The attribute by whose day the rows are counted."""
        spec = None if self.table is None else counted(self.table)
        return None if spec is None else self.day or spec[0]

    def base_tally(self) -> Tally | None:
        if self.tally is not None or self.where or self.table is None or self.day_attribute() is None:
            return self.tally
        return Tally(self.table.name)
