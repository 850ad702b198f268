"""What rules for names and imports cost beside whole languages: compiling them, and masks.

`python -m benchmarks.language_rules [NAME ...] [--masks]`: for each language and each kind of rule the ms of CPU time
of the first such compilation, in a process that has compiled the language alone before, the least of three processes.
With `--masks` also the median, the 99th percentile and the longest of the masks in ms while real functions in the one
layout are read that satisfy the rules, with the vocabulary of the embedded model.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from itertools import islice

from maze.errors import MazeError
from maze.grammar import compile_constraints
from maze.grammar.languages.syntax import syntax_names
from maze.types import ConstraintIR

FORBIDDEN = "%forbid names eval exec system"
RULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "forbid names": (f"%language NAME\n{FORBIDDEN}", ()),
    "allow names": ("%language NAME\n%allow names " + " ".join(f"name{number}" for number in range(40)), ()),
    "allow imports": ("%language NAME\n%allow imports math std os", ()),
    "names by role": ("%language NAME\n%allow function_names /[a-z_]+/\n%allow variable_names /[a-z][a-z0-9_]*/", ()),
    "several": (f"%language NAME\n{FORBIDDEN}\n%forbid names gets strcpy\n%allow imports math std", ()),
    "naming pattern": ("%language NAME", ("^[A-Za-z][A-Za-z0-9_]*$",)),
    "import": ('%import language.NAME.expression\nstart: "answer: " expression "\\n"', ()),
    "import, forbid": (f'%import language.NAME.expression\nstart: "answer: " expression "\\n"\n{FORBIDDEN}', ()),
}
PROCESSES = 3

_COMPILATION = """
import json, sys, time
import maze.orchestrator
from maze.grammar import compile_constraints
from maze.types import ConstraintIR
language, grammar, patterns = json.loads(sys.argv[1])
compile_constraints([ConstraintIR(grammar=f"%language {language}")])
started = time.process_time()
compile_constraints([ConstraintIR(grammar=grammar, regex_patterns=tuple(patterns))])
print(1e3 * (time.process_time() - started))
"""


def compile_ms(language: str, grammar: str, patterns: tuple[str, ...]) -> float:
    """CPU time of the first compilation of some rules."""
    command = [sys.executable, "-c", _COMPILATION, json.dumps((language, grammar, patterns))]
    done = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(PROCESSES)]
    return min(float(process.stdout) for process in done)


def mask_ms(language: str, grammar: str, patterns: tuple[str, ...]) -> str:
    """Masks while functions are read that satisfy the rules."""
    # These load the judges of all languages, which only this needs.
    from llguidance import LLTokenizer, TokenizerWrapper

    from benchmarks.language_entries import ENTRIES
    from benchmarks.language_programs import PROGRAMS
    from benchmarks.languages import masks
    from benchmarks.model_vocabulary import embedded_vocabulary
    from maze.check.layout import LayoutError, laid_out
    from maze.grammar.llguidance import Matcher

    entry = next(each for each in (*ENTRIES, *PROGRAMS) if each.name == language)
    compiled = compile_constraints([ConstraintIR(grammar=grammar, regex_patterns=patterns)]).grammar
    if compiled is None:
        return ""
    satisfying = []
    for text in islice(entry.functions(), 300):
        try:
            printed = laid_out(text, language, "file")
        except LayoutError:
            continue
        matcher = Matcher(compiled)
        if matcher.consume(printed.encode()) == len(printed.encode()):
            satisfying.append(printed)
    tokenizer = LLTokenizer(TokenizerWrapper(embedded_vocabulary()))
    return masks(compiled, satisfying[:20], tokenizer) if satisfying else "no function satisfies them"


def main() -> None:
    """Print a line for each language and kind of rule that means something in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="languages; all by default")
    parser.add_argument("--masks", action="store_true")
    given = parser.parse_args()
    for language in given.names or syntax_names():
        for kind, (text, patterns) in RULES.items():
            grammar = text.replace("NAME", language)
            try:
                compile_constraints([ConstraintIR(grammar=grammar, regex_patterns=patterns)])
            except MazeError:
                continue  # a language without imports, or without names
            shown = f"{language:12}{kind:16}{compile_ms(language, grammar, patterns):6.0f} ms"
            if given.masks:
                shown += f"   masks {mask_ms(language, grammar, patterns)}"
            print(shown, flush=True)


if __name__ == "__main__":
    main()
