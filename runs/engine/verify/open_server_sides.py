"""Makes the sides that are hashed by their own systems: both of one kind, or each that can compute the shared hash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from connections import registry
from connections.sdk.capabilities import Cap
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session
from connections.sdk.sql.final_semicolon import without_final_semicolon
from connections.sdk.sql.row_hash import HashedColumn, NotHashed, SharedHashing
from runs.engine.plan import Plan
from runs.engine.sessions import open_session
from runs.engine.verify.differences import SideName
from runs.engine.verify.server_side import ServerSide
from runs.engine.verify.side import ComparisonSpec, QueryAndTable, Sides
from runs.engine.verify.since import Since

_RowHash = Callable[[Sequence[HashedColumn]], str]


class ServerSideFactory:
    """Makes the sides of one comparison that hash their rows themselves."""

    def __init__(self, plan: Plan, described: QueryAndTable, spec: ComparisonSpec, since: Since | None) -> None:
        self._plan, self._described, self._spec, self._since = plan, described, spec, since
        self._query = without_final_semicolon(described.query)
        self._positions = [described.columns.index(column) for column in spec.columns]

    def both(self, stack: ExitStack) -> Sides | NotHashed:
        """Return two sides of one kind of system, with its fastest hash; NotHashed with the reason if it has none."""
        plan, columns = self._plan, self._described.columns
        if plan.source.kind != plan.destination.kind:
            return NotHashed(why=f"{plan.source.kind} and {plan.destination.kind} have no hash in common")
        hashing = registry.hashing(plan.source.kind)
        if hashing is None:
            return NotHashed(why=f"{plan.source.kind} has no hash of rows")
        with ExitStack() as sessions:
            source = sessions.enter_context(open_session(plan.source, Cap.READ))
            destination = sessions.enter_context(open_session(plan.destination, Cap.READ))
            hashed = hashing.plan(source, self._query, destination=destination, table=plan.dest_table, columns=columns)
            if isinstance(hashed, NotHashed):
                return hashed
            stack.push(sessions.pop_all())
        source_columns = [hashed.source[position] for position in self._positions]
        dest_columns = [hashed.destination[position] for position in self._positions]
        return Sides(
            source=self._source(source, source_columns, hashing.row_hash),
            destination=self._destination(destination, dest_columns, hashing.row_hash),
            why=f"both are {plan.source.kind} and hash their rows themselves",
        )

    def shared(self, stack: ExitStack) -> dict[SideName, ServerSide] | NotHashed:
        """Return each side that can compute the shared hash of all columns; NotHashed with the reason if none can."""
        spec = self._spec
        if folded := [spec.columns[n].dest_name for n in spec.key if spec.columns[n].collation]:
            return NotHashed(why=f"the destination compares the key “{folded[0]}” by a collation of its own")
        sides: dict[SideName, ServerSide] = {}
        refused = []
        for name, parameters in self._systems.items():
            hashing = registry.shared_hashing(parameters.kind)
            if hashing is None:
                continue
            with ExitStack() as sessions:
                own = sessions.enter_context(open_session(parameters, Cap.READ))
                columns = self._shared_columns(name, own, hashing)
                if isinstance(columns, NotHashed):
                    refused.append(columns)
                    continue
                stack.push(sessions.pop_all())
            make_side = self._source if name == "source" else self._destination
            sides[name] = make_side(own, columns, hashing.row_hash)
        if not sides:
            return refused[0] if refused else NotHashed(why="neither system has the shared hash of rows")
        return sides

    @property
    def _systems(self) -> dict[SideName, ConnectionParameters]:
        return {"source": self._plan.source, "destination": self._plan.destination}

    def _shared_columns(
        self, name: SideName, session: Session, hashing: SharedHashing
    ) -> tuple[HashedColumn, ...] | NotHashed:
        spec = self._spec
        if name == "destination":
            return hashing.destination(session, self._plan.dest_table, spec.columns)
        columns = dict(zip(self._positions, spec.columns, strict=True))
        return hashing.source(session, self._query, columns, signed_zero=spec.signed_zero)

    def _source(self, session: Session, columns: Sequence[HashedColumn], row_hash: _RowHash) -> ServerSide:
        names = ", ".join(f"c{position}" for position in range(len(self._described.columns)))
        parameters = self._plan.source
        return ServerSide(
            session,
            parameters,
            relation=f"(\n{self._query}\n) AS q({names})",
            condition=self._condition(columns, parameters),
            columns=columns,
            spec=self._spec,
            row_hash=row_hash,
        )

    def _destination(self, session: Session, columns: Sequence[HashedColumn], row_hash: _RowHash) -> ServerSide:
        parameters = self._plan.destination
        return ServerSide(
            session,
            parameters,
            relation=f"{registry.dialect_for(parameters).qualified(self._plan.dest_table)} AS q",
            condition=self._condition(columns, parameters),
            columns=columns,
            spec=self._spec,
            row_hash=row_hash,
        )

    def _condition(self, columns: Sequence[HashedColumn], parameters: ConnectionParameters) -> str:
        if self._since is None:
            return ""
        position = [column.dest_name for column in self._spec.columns].index(self._since.column)
        return self._since.condition(columns[position].expression, registry.dialect_for(parameters))
