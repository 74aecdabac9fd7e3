"""Subsets of the exams, by an expression over the columns of the manifest: `manufacturer == 'GE' and expert`.

The expression is parsed as Python and read as data, never run: names of columns, text, numbers, comparisons, `in`,
`and`, `or`, `not` and parentheses are all that it may hold.
"""

import ast
import difflib
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from node.batch.midrc.columns import plain_manufacturer
from node.batch.midrc.exam import Annotation, Exam
from node.errors import SettingsError

#: What a name stands for in an exam; for `defects` the codes.
_Value = str | float | bool | tuple[str, ...] | None
_Row = Mapping[str, _Value]
_Truth = Callable[[_Row], bool]
_Reading = Callable[[_Row], _Value]
_Order = Callable[[Any, Any], bool]

_LONGEST = 2000
_DEEPEST = 50
#: Of a name, between dots.
_MOST_PARTS = 8
_ORDERS: Mapping[type[ast.cmpop], _Order] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def chosen(exams: Sequence[Exam], where: str) -> tuple[Exam, ...]:
    """Return the exams for which `where` is true.

    Names are the columns of the tables, `dicom.` and `image.` columns, those of the manifest, and expert, weak,
    has_dicom, has_image, has_mask, complete. A comparison with a value that is missing is false, `!=` and `not in`
    too. `manufacturer` is compared whatever way its names are written.

    Raises SettingsError for anything else, for a column that no exam has, with the names that come close, and where
    text is compared with a number.
    """
    rows = [_row(exam) for exam in exams]
    columns = frozenset(name for row in rows for name in row)
    truth = _Expression(columns if rows else None).read(where)
    return tuple(exam for exam, row in zip(exams, rows, strict=True) if truth(row))


def _row(exam: Exam) -> _Row:
    return {
        **exam.columns,
        **exam.told,
        "expert": exam.annotation is Annotation.EXPERT,
        "weak": exam.annotation is Annotation.WEAK,
        "has_dicom": exam.dicom is not None,
        "has_image": exam.image is not None,
        "has_mask": exam.mask is not None,
        "complete": None not in {exam.dicom, exam.image, exam.mask},
        "defects": tuple(defect.code for defect in exam.defects),
    }


class _Expression:
    """Reads an expression over `columns`; None where there is no exam that could have any."""

    def __init__(self, columns: Collection[str] | None) -> None:
        self._columns = columns

    def read(self, where: str) -> _Truth:
        if len(where) > _LONGEST:
            raise _refused(f"more than {_LONGEST} characters")
        try:
            tree = ast.parse(where.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise _refused(f"not an expression: {type(error).__name__}") from None
        return self._truth(tree.body, 0)

    def _truth(self, node: ast.expr, depth: int) -> _Truth:
        if depth > _DEEPEST:
            raise _refused("nested too deeply")
        if isinstance(node, ast.BoolOp):
            parts = [self._truth(value, depth + 1) for value in node.values]
            together = all if isinstance(node.op, ast.And) else any
            return lambda row: together(part(row) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._truth(node.operand, depth + 1)
            return lambda row: not inner(row)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        reading = self._value(node)
        return lambda row: _as_truth(reading(row), node)

    def _comparison(self, node: ast.Compare) -> _Truth:
        """Read a comparison, also a chain such as 3 < slice_thickness <= 4."""
        sides = [node.left, *node.comparators]
        plain = any(_name(side) == "manufacturer" for side in sides)
        links = [
            self._link(left, sign, right, plain=plain)
            for left, sign, right in zip(sides, node.ops, node.comparators, strict=False)
        ]
        return lambda row: all(link(row) for link in links)

    def _link(self, left: ast.expr, sign: ast.cmpop, right: ast.expr, *, plain: bool) -> _Truth:
        one = self._value(left, plain=plain)
        if isinstance(sign, ast.In | ast.NotIn):
            among = self._collection(right, plain=plain)
            wanted = isinstance(sign, ast.In)
            return lambda row: (value := one(row)) is not None and _among(value, among(row), left) == wanted
        order = _ORDERS.get(type(sign))
        if order is None:
            raise _refused(f"no comparison that is known: {ast.unparse(left)} {type(sign).__name__} ...")
        other = self._value(right, plain=plain)
        return lambda row: _compared(one(row), order, other(row), left)

    def _collection(self, node: ast.expr, *, plain: bool) -> Callable[[_Row], Sequence[_Value]]:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            values = [self._value(item, plain=plain) for item in node.elts]
            return lambda row: [value(row) for value in values]
        if _name(node) == "defects":
            return lambda row: [value for value in (row["defects"],) if isinstance(value, tuple) for value in value]
        raise _refused("after `in` comes a list in parentheses, or `defects`")

    def _value(self, node: ast.expr, *, plain: bool = False) -> _Reading:
        name = _name(node)
        if name is not None:
            self._require(name)
            return lambda row: row.get(name)
        value = _constant(node)
        known = plain_manufacturer(value) if plain and isinstance(value, str) else value
        return lambda _row: known

    def _require(self, name: str) -> None:
        if self._columns is None or name in self._columns:
            return
        tabled = sorted(column for column in self._columns if column.endswith(f".{name}"))
        close = tabled or difflib.get_close_matches(name, sorted(self._columns), n=5, cutoff=0.5)
        raise _refused(f"no column {name}" + (f"; there are {', '.join(close)}" if close else ""))


def _name(node: ast.expr) -> str | None:
    """Return a name, with dots between its parts or without."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < _MOST_PARTS:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None


def _constant(node: ast.expr) -> str | float | bool:
    """Return text, a number with its sign, or a truth."""
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
        node = node.operand
        if not isinstance(node, ast.Constant) or isinstance(node.value, bool | str):
            raise _refused("a sign belongs in front of a number")
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        try:
            return sign * float(value)
        except OverflowError:
            raise _refused("a number beyond all columns") from None
    takes = "it takes columns, text, numbers, comparisons, in, and, or, not"
    raise _refused(f"{type(node).__name__} has no place in it: {takes}")


def _compared(one: _Value, order: _Order, other: _Value, node: ast.expr) -> bool:
    if one is None or other is None:
        return False
    if type(one) is not type(other):
        raise _refused(
            f"{ast.unparse(node)} is compared with something of another kind: {_kind(one)} and {_kind(other)}"
        )
    if isinstance(one, bool | tuple) and order not in {operator.eq, operator.ne}:
        raise _refused(f"{ast.unparse(node)} has no order")
    return order(one, other)


def _among(value: _Value, values: Sequence[_Value], node: ast.expr) -> bool:
    return any(_compared(value, operator.eq, other, node) for other in values)


def _as_truth(value: _Value, node: ast.expr) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _refused(f"{ast.unparse(node)} is {_kind(value)} and neither true nor false: compare it with something")
    return value


def _kind(value: _Value) -> str:
    kinds = {bool: "a truth", float: "a number", str: "text", tuple: "a list"}
    return kinds[type(value)]


def _refused(why: str) -> SettingsError:
    return SettingsError(f"--where: {why}")
