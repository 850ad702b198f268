"""The values that satisfy a condition, one by one, where they are few."""

from __future__ import annotations

from collections.abc import Iterable

from maze.grammar.budget import OverBudgetError
from maze.grammar.schema import numbers
from maze.grammar.schema.arrays import Distinct, Shape, most_distinct, shape_of
from maze.grammar.schema.conditions import ALWAYS, NEVER, Condition, Kind, Some, TooManyError
from maze.grammar.schema.constants import constant
from maze.grammar.schema.meaning import Meanings
from maze.grammar.schema.satisfiable import MAX_EMPTINESS_DEPTH, WORDS, Satisfiable
from maze.grammar.schema.strings import quoted
from maze.json_text import parse


class FiniteValues:
    """Lists the values of conditions, each as the one JSON text that all equal ones share."""

    def __init__(self, meanings: Meanings, satisfiable: Satisfiable) -> None:
        self._meanings = meanings
        self._conditions = meanings.conditions
        self._satisfiable = satisfiable

    def of(self, condition: Condition, most: int, depth: int = 0) -> list[str]:
        """All values of a condition, `depth` deep in another. Raises TooManyError if over `most`, or not to be told."""
        if condition == ALWAYS or depth > MAX_EMPTINESS_DEPTH:
            raise TooManyError
        found: list[str] = []
        for kind in Kind:
            of_kind = self._satisfiable.of_kind(condition, kind)
            if of_kind == NEVER:
                continue
            if kind in WORDS:
                found.append(WORDS[kind])
            elif kind is Kind.ARRAY:
                found += self._arrays(of_kind, most, depth)
            elif kind is Kind.OBJECT:
                found += self._objects(of_kind, most, depth)
            else:
                found += self._texts(of_kind, kind, most)
        return self._bounded(found, most)

    def _bounded(self, found: Iterable[str], most: int) -> list[str]:
        distinct = list(dict.fromkeys(found))
        self._conditions.spend(len(distinct))
        if len(distinct) > most:
            raise TooManyError
        return distinct

    def _texts(self, condition: Condition, kind: Kind, most: int) -> list[str]:
        language, notes = self._satisfiable.language(condition, kind)
        questions = self._meanings.questions
        one_each = questions.meet(language, numbers.SHORTEST) if kind is Kind.NUMBER else language
        texts = questions.texts_of(one_each, most)
        if texts is None or notes:
            raise TooManyError
        return texts if kind is Kind.NUMBER else list(map(quoted, texts))

    def _arrays(self, condition: Condition, most: int, depth: int) -> list[str]:
        found: list[str] = []
        for term in self._satisfiable.terms(condition, Kind.ARRAY):
            shape = shape_of(term, self._conditions)
            if shape is None:
                continue
            if shape.wanted or shape.unique or shape.notes:
                raise TooManyError
            items = [""]
            length = 0
            while items:
                found += [f"[{each}]" for each in items] if length >= shape.low else []
                if length == shape.high:
                    break
                position = shape.prefix[length] if length < len(shape.prefix) else shape.rest
                values = self.of(position, most, depth + 1)
                longer = (f"{each},{value}" if each else value for each in items for value in values)
                items = self._bounded(longer, most)
                length += 1
                if length > most:
                    raise TooManyError
        return found

    def _objects(self, condition: Condition, most: int, depth: int) -> list[str]:
        formula = self._conditions[condition]
        if isinstance(formula, Some):
            return [value for each in formula.conditions for value in self._objects(each, most, depth)]
        objects = self._satisfiable.objects(condition)
        if objects.formula != ALWAYS or objects.notes or any(other.condition != NEVER for other in objects.others):
            raise TooManyError
        found = [""]
        for name in sorted(objects.names, key=lambda name: name.text):
            values = self.of(name.condition, most, depth + 1) if name.condition != NEVER else []
            members = [f"{quoted(name.text)}:{value}" for value in values]
            with_it = [f"{each},{member}" if each else member for each in found for member in members]
            found = self._bounded(with_it if name.required else found + with_it, most)
        return [f"{{{each}}}" for each in found]

    def distinct(self, shape: Shape) -> Distinct | None:
        """The values that the items may be, of which no two may be equal; None if they are too many, or not to be told.

        The rest is no item of an array that must end before.
        """
        most = most_distinct(shape.high)
        numbers_of: dict[str, int] = {}

        def which(condition: Condition) -> tuple[int, ...]:
            return tuple(numbers_of.setdefault(text, len(numbers_of)) for text in self.of(condition, most))

        has_rest = shape.high is None or shape.high > len(shape.prefix)
        try:
            prefix = tuple(map(which, shape.prefix))
            rest = which(shape.rest) if has_rest else ()
        except (TooManyError, OverBudgetError):
            return None
        if len(numbers_of) > most:
            return None
        values = tuple(constant(self._conditions, parse(text)) for text in numbers_of)
        return Distinct(values, prefix, rest)
