"""Pages written from the catalogue: nothing here is kept by hand, so nothing can drift."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from assay.basics.bibliography import SOURCES
from assay.engine.audit_inputs import INPUTS
from assay.nouns.catalogue import VERBS, Method, known

NEEDS = {
    "gradient": "a model with gradients",
    "net": "a torch net",
    "classes": "a classifier",
    "image": "images (channel, height, width)",
    "maps": "signals, images or volumes",
    "numbers": "numeric inputs",
    "complete": "rows without missing values",
    "shift": "inputs that a linear, convolutional or batch-norm layer reads first",
    "table": "a table",
    "trees": "a model of trees",
    "loss": "a case with target loss",
    "attention": "a net with attention",
    "pooled": "a net that ends in global average pooling",
    **{name: known.description for name, known in INPUTS.items()},
}
CLAIMS = {
    "complete": "values add up to output − base",
    "dummy": "a part that never matters gets 0",
    "symmetric": "parts that may be exchanged get the same",
    "linear": "values of a sum of models are the sum of the values",
    "enumerable": "exact once the budget covers every coalition",
    "differentiable": "an attack can differentiate through it",
    "reference": "knows nothing of the model: what other methods must beat",
    "directed": "truth scores better than chance, chance better than truth reversed",
    "ordered": "depends on the order of the parts only",
}
TITLES = {
    "explain": "Explain: why this output",
    "evaluate": "Evaluate: can the answer be trusted",
    "attack": "Attack: how easily it is moved",
    "certify": "Certify: what cannot move it",
    "diagnose": "Diagnose: what it says about the model",
    "repair": "Repair: what is mended",
}


def plain(kind: Any) -> str:
    """A type as one would write it."""
    text = kind if isinstance(kind, str) else inspect.formatannotation(kind)
    return re.sub(r"\b(?:assay|typing|collections|numpy)\.(?:\w+\.)*(?=\w)", "", text)


def signature(method: Method) -> str:
    """The call as one would read it, one option a line."""
    parameters = inspect.signature(method.body).parameters.values()
    first = ", ".join(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)
    lines = []
    for name, p in method.options.items():
        default = "" if p.default is p.empty else f" = {p.default!r}"
        lines.append(f"    {name}: {plain(p.annotation)}{default},")
    inner = "\n".join([f"    {first},", *(["    *,"] if lines else []), *lines])
    return f"{method.verb}.{method.name}(\n{inner}\n)"


def told(doc: str) -> str:
    """A docstring as MyST: examples become fenced blocks, indented blocks too, prose stays."""
    out: list[str] = []
    for block in re.split(r"\n\s*\n", doc):
        if block.lstrip().startswith(">>>"):
            out.append(f"```pycon\n{inspect.cleandoc(block)}\n```")
        elif block.startswith("    "):
            out.append(f"```text\n{inspect.cleandoc(block)}\n```")
        else:
            out.append(re.sub(r"^::$", "", block, flags=re.MULTILINE))
    return "\n\n".join(out)


def page(method: Method) -> str:
    """The page of one method."""
    facts = [f"Source: {SOURCES.get(method.source, method.source)}"]
    if method.better != "neither":
        facts.append(f"Better: {method.better}")
    if method.needs:
        facts.append("Needs: " + "; ".join(NEEDS.get(n, n) for n in sorted(method.needs)))
    if method.claims:
        facts.append("Claims, each tested: " + "; ".join(f"*{c}* ({CLAIMS.get(c, c)})" for c in sorted(method.claims)))
    facts.append(f"Status: {method.status}")
    listed = "\n".join(f"- {fact}" for fact in facts)
    return f"# {method.verb}.{method.name}\n\n{told(method.doc)}\n\n```python\n{signature(method)}\n```\n\n{listed}\n"


def cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(verb: str) -> str:
    """All methods of a verb in one table."""
    lines = ["| method | what its number means | needs | claims |", "|---|---|---|---|"]
    for method in known(verb):
        needs, claims = ", ".join(sorted(method.needs)), ", ".join(sorted(method.claims))
        lines.append(f"| [{method.name}]({verb}/{method.name}.md) | {cell(method.meaning)} | {needs} | {claims} |")
    return "\n".join(lines)


def contents(verb: str) -> str:
    """The page of one verb: its table, and the pages below it."""
    names = "\n".join(f"{verb}/{method.name}" for method in known(verb))
    return f"# {TITLES[verb]}\n\n{table(verb)}\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"


def bibliography() -> str:
    """Every source with the methods that follow it."""
    users = defaultdict(list)
    for method in known():
        users[method.source].append(f"[{method.name}](../methods/{method.verb}/{method.name}.md)")
    lines = [f"- **{key}** {SOURCES[key]} Used by: {', '.join(users[key])}." for key in sorted(users) if key in SOURCES]
    return "# Bibliography\n\n" + "\n".join(lines) + "\n"


def face() -> str:
    """The public names that are not methods."""
    import assay

    parts = ["# Public names\n", "Names that can be reached as `assay.name`; verbs have their own pages.\n"]
    for name in assay.__all__:
        thing = getattr(assay, name)
        if inspect.ismodule(thing):
            continue
        parts.append(f"## {name}\n\n```python\n{name}{_signature(thing)}\n```\n\n{told(inspect.getdoc(thing) or '')}\n")
    return "\n".join(parts)


def _signature(thing: Any) -> str:
    try:
        return re.sub(r" at 0x[0-9a-f]+", "", plain(str(inspect.signature(thing))))
    except (TypeError, ValueError):
        return ""


def command_line() -> Iterator[tuple[str, str]]:
    """The command line's reference, read from the command line itself."""
    if find_spec("assay.cli") is not None and find_spec("assay.cli.main") is not None:
        app = import_module("assay.cli.main").app
        codes = f"## Exit codes\n\n{import_module('assay.cli.exit_codes').exit_code_tables()}\n"
        pages = app.generate_docs(output_format="markdown", heading_level=2)
        yield (
            "cli.md",
            f"# Command line\n\nHow the command behaves: [Command line](../command_line.md).\n\n{codes}{pages}",
        )


def axioms() -> str:
    """Every axiom in its own words with its sources, and the measured table that ships."""
    from assay.axioms.table import AXIOMS, axiom_docstring, load_table
    from assay.axioms.table import SOURCES as AXIOM_SOURCES

    table = load_table()
    parts = ["# Axioms, measured\n", "How this is measured and read: [Axioms](../axioms.md).\n", "## Table\n"]
    heads = [f"[{name.replace('_', ' ')}](#{name.replace('_', '-')})" for name in AXIOMS]
    parts.append("| method | " + " | ".join(heads) + " |\n|---" + "|---" * len(AXIOMS) + "|")
    for method in table.methods:
        cells = " | ".join(table.cell(method, name).symbol for name in AXIOMS)
        parts.append(f"| [{method}](../methods/explain/{method}.md) | {cells} |")
    for name in AXIOMS:
        parts.append(f"\n## {name.replace('_', ' ')}\n\n{told(axiom_docstring(name))}\n")
        parts += [f"- {SOURCES[key]}" for key in AXIOM_SOURCES[name]]
    return "\n".join(parts) + "\n"


def framework() -> str:
    """The framework properties of every explanation method, and the published ones, with reasons for differences."""
    from assay.axioms.framework import (
        COLUMN_MEANINGS,
        COLUMNS,
        FOUND_SYMBOLS,
        PUBLISHED,
        PUBLISHED_SYMBOLS,
        framework_data,
    )

    data, heads = framework_data(), " | ".join(COLUMNS)
    parts = [
        "# Framework properties\n",
        "An explanation of the framework of Leino et al. has a *quantity* to explain, a *distribution of interest*, "
        "and a place: the input or an *internal* layer. Five properties of methods follow.\n",
        "| property | asks |\n|---|---|",
        *(f"| {name} | {meaning} |" for name, meaning in COLUMN_MEANINGS.items()),
        "\n## Published and found\n",
        f"Published: Datta, Fredrikson, Leino, Lu, Sen and Wang, tutorial at AAAI 2021. Found: the first three from "
        f"the options of our method, the last two from the measured [table of axioms](axioms.md).\n\n"
        f"| method | | {heads} |\n|---|---{'|---' * len(COLUMNS)}|",
    ]
    for line in PUBLISHED:
        found = data[line.method]["found"].values()
        parts.append(f"| {line.name} | published | {' | '.join(line.symbols)} |")
        parts.append(f"| [{line.method}](../methods/explain/{line.method}.md) | found | {' | '.join(found)} |")
    for heading, marks in (("Published", PUBLISHED_SYMBOLS), ("Found", FOUND_SYMBOLS)):
        parts.append(f"\n{heading}: " + "; ".join(f"{mark} {text}" for mark, text in marks.items()) + ".")
    parts.append("\n## Why they differ\n\n| method | property | reason |\n|---|---|---|")
    for line in PUBLISHED:
        parts += [f"| {line.name} | {column} | {reason} |" for column, reason in line.reasons.items()]
    parts.append(f"\n## All methods\n\n| method | {heads} |\n|---{'|---' * len(COLUMNS)}|")
    for name, entry in data.items():
        parts.append(f"| [{name}](../methods/explain/{name}.md) | {' | '.join(entry['found'].values())} |")
    return "\n".join(parts) + "\n"


def checks_page() -> str:
    """Every check of the catalogue, by family."""
    from assay.auditing.check_catalogue import all_checks, suggested_repairs

    parts = [
        "# Checks\n",
        "A check is declared in the file of the function that answers it; this page is read from there.\n",
    ]
    family = ""
    for check in all_checks():
        if check.family != family:
            family = check.family
            parts.append(f"\n## {check.code[:3]}: {family}\n")
            parts.append(
                "| code | question | passes | high severity from | answered by | when it fails | repairs |"
                "\n|---|---|---|---|---|---|---|"
            )
        limit = check.passes
        method = check.method.replace(".", "/")
        link = f"[{check.method}](../methods/{method}.md)" if check.method else "the audit"
        severe = "" if check.severe is None else f"{check.severe:g}"
        repairs = ", ".join(
            f"[{one.method}](../methods/repair/{one.method}.md)" for one in suggested_repairs(check.code)
        )
        parts.append(f"| {check.code} | {check.question} | {limit} | {severe} | {link} | {check.remedy} | {repairs} |")
    return "\n".join(parts) + "\n"


CHOICES_BEGIN, CHOICES_END = "<!-- table of methods: begin -->\n", "<!-- table of methods: end -->\n"
"""Marks in choosing.md; what stands between them is written from the table that ``assay choose`` reads."""


SECTIONS_OF = {
    "explain": "Explanation, All explanations",
    "evaluate": "Scores of explanations",
    "attack": "Attacks and certificates",
    "certify": "Attacks and certificates",
    "diagnose": "Findings",
    "repair": "Repairs",
}
"""Sections of the page that show a method of each verb."""


def in_profiles(method: Method) -> str:
    """The profiles that run a method, by kind of input; else the argument that adds it to any profile."""
    from assay.auditing.planning.profiles import KINDS, all_profiles, is_included

    absent = {"other_models", "clusters"} & method.needs
    found: dict[str, list[str]] = {}
    for (kind, depth), profile in all_profiles().items():
        given = {
            "explain": {*profile.explainers, *profile.views},
            "evaluate": {*profile.scores},
            "attack": {*profile.attacks},
            "certify": {*profile.certificates},
            "diagnose": {method.name} if is_included(method, profile.diagnoses) and not absent else set(),
        }.get(method.verb, set())
        if method.name in given:
            found.setdefault(kind, []).append(depth)
    texts = [kind if len(depths) == 3 else f"{kind} ({', '.join(depths)})" for kind, depths in found.items()]
    if texts:
        where = "all" if texts == list(KINDS) else ", ".join(texts)
        return f"{where}, where its inputs are given" if method.verb == "diagnose" else where
    if "reference" in method.claims:
        return "all, as a control explanation"
    if absent:
        return f"none: it needs {INPUTS[min(absent)].description}, which an audit does not have"
    if method.verb == "repair":
        return "all, where a check that it answers fails"
    flag = {"explain": "methods", "evaluate": "scores"}.get(method.verb)
    return f'any, by `{flag}=["{method.name}"]`' if flag else "all, where it declares a check"


def page_section(method: Method) -> str:
    """The section of an audit's page that shows a method."""
    from assay.auditing.planning.profiles import all_profiles

    views = {name for profile in all_profiles().values() for name in profile.views}
    scored = {name for profile in all_profiles().values() for name in profile.explainers}
    if method.verb == "explain" and method.name in views and method.name not in scored:
        return "Views of the model"
    if any(check.code.startswith("PER") for check in method.checks):
        return "Performance, Findings"
    return SECTIONS_OF[method.verb]


def reach() -> str:
    """Where each public method is reached: Python, the command line, the profiles of an audit, its page."""
    lines = [
        "# Where each method is reached",
        "",
        "Every method is called in Python and by a command. An audit runs those of its profile; others are added by "
        "name. A method that a model or its data cannot have is reported as not run, with the reason.",
        "",
        "| method | Python | command | audit profile | section of the page |",
        "|---|---|---|---|---|",
    ]
    for method in known():
        name = f"{method.verb}.{method.name}"
        command = f"assay {method.verb} {method.name}"
        lines.append(f"| {name} | `assay.{name}` | `{command}` | {in_profiles(method)} | {page_section(method)} |")
    return "\n".join(lines) + "\n"


def choices() -> str:
    """The table of methods by goal: for each kind the methods of the table, with reason, camps and command."""
    from assay.nouns.choosing.choice import GOALS
    from assay.nouns.choosing.choices import CHOICES, WHY_NONE

    parts = []
    for goal, question in GOALS.items():
        parts.append(f"### {goal}: {question}?\n")
        parts.append("| method | rows | model | camp | because | command |\n|---|---|---|---|---|---|")
        for choice in (choice for choice in CHOICES if goal in choice.goals):
            model = ", ".join(choice.models) if "specific" in choice.camps else "any"
            link = f"[{choice.method}](methods/{choice.method.replace('.', '/')}.md)"
            cells = (
                link,
                ", ".join(choice.data),
                model,
                ", ".join(choice.camps),
                choice.reason,
                f"`{choice.command()}`",
            )
            parts.append(f"| {' | '.join(map(cell, cells))} |")
        parts.append(f"\n{WHY_NONE[goal]}\n" if goal in WHY_NONE else "")
    return "\n".join(parts).rstrip() + "\n"


def with_choices(page: str) -> str:
    """A page with the table of methods between its marks."""
    before, _, rest = page.partition(CHOICES_BEGIN)
    _, _, after = rest.partition(CHOICES_END)
    return f"{before}{CHOICES_BEGIN}\n{choices()}\n{CHOICES_END}{after}"


def gather() -> None:
    """Fill the catalogue."""
    for verb in VERBS:
        import_module(f"assay.{verb}")


def write(folder: Path) -> None:
    """All generated pages below ``folder``; pages whose contents stand are left alone."""
    gather()
    pages = {f"methods/{m.verb}/{m.name}.md": page(m) for m in known()}
    pages |= {f"methods/{verb}.md": contents(verb) for verb in VERBS}
    pages |= {"reference/bibliography.md": bibliography(), "reference/face.md": face()}
    pages |= {f"reference/{name}": text for name, text in command_line()}
    pages["reference/axioms.md"] = axioms()
    pages["reference/framework.md"] = framework()
    pages["reference/checks.md"] = checks_page()
    pages["reference/reach.md"] = reach()
    choosing = folder / "choosing.md"
    if choosing.exists():
        pages["choosing.md"] = with_choices(choosing.read_text(encoding="utf-8"))
    for kind in ("methods", "reference"):
        for old in (folder / kind).rglob("*.md"):
            if old.relative_to(folder).as_posix() not in pages:
                old.unlink()
    for name, text in pages.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
