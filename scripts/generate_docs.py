# SPDX-License-Identifier: GPL-3.0-or-later
"""
Write docs/reference from what the code says: argument specs of the roles, documentation of the modules, the client's
calls and its table of commands.

Usage: python scripts/generate_docs.py [--check]     (--check writes nothing and fails when a page is out of date)
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from keyfleet import (
    CacheOptions,
    CacheStats,
    Client,
    Limit,
    LocalShare,
    LocalStats,
    Lock,
    Pipeline,
    Policy,
    RateLimitResult,
    RateLimitStats,
    RefreshToken,
    Script,
    Session,
    SessionData,
    SessionEntry,
    Subscription,
)
from keyfleet._protocol import kinds as _kinds
from keyfleet._protocol.command import Kind, Repeat
from keyfleet._protocol.kinds import MISSING
from keyfleet._sync.capabilities.cache.cache import Cache
from keyfleet._sync.capabilities.cache.decorating import CachedFunction
from keyfleet._sync.capabilities.rate_limits import RateLimits
from keyfleet._sync.capabilities.sessions import Sessions
from keyfleet._sync.capabilities.tokens import Tokens
from keyfleet.contrib import asgi, cookies, wsgi

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Made by scripts/generate_docs.py; change {source} instead. -->"
# https://docs.ansible.com/ansible/latest/dev_guide/ansible_markup.html
MARKUP = (
    (re.compile(r"\b(?:C|O|V|E|RV|M|P)\(((?:\\.|[^)\\])*)\)"), r"`\1`"),
    (re.compile(r"\bB\(([^)]*)\)"), r"**\1**"),
    (re.compile(r"\bI\(([^)]*)\)"), r"*\1*"),
    (re.compile(r"\bL\(([^,)]*),\s*([^)]*)\)"), r"[\1](\2)"),
    (re.compile(r"\bU\(([^)]*)\)"), r"<\1>"),
    (re.compile(r"\\([()\\])"), r"\1"),
)
CAPABILITIES = (  # classes, and how their sections are called
    (Cache, "client.cache"),
    (CachedFunction, "Cached functions"),
    (CacheOptions, "CacheOptions"),
    (CacheStats, "CacheStats"),
    (LocalStats, "LocalStats"),
    (RateLimits, "client.rate_limits"),
    (Limit, "Limit"),
    (RateLimitResult, "RateLimitResult"),
    (LocalShare, "LocalShare"),
    (RateLimitStats, "RateLimitStats"),
    (Lock, "Locks"),
    (Sessions, "client.sessions"),
    (Session, "Session"),
    (SessionEntry, "SessionEntry"),
    (SessionData, "SessionData"),
    (Tokens, "client.tokens"),
    (RefreshToken, "RefreshToken"),
    (asgi.RateLimitMiddleware, "contrib.asgi.RateLimitMiddleware"),
    (wsgi.RateLimitMiddleware, "contrib.wsgi.RateLimitMiddleware"),
    (asgi.SessionMiddleware, "contrib.asgi.SessionMiddleware"),
    (asgi.RequestSession, "contrib.asgi.RequestSession"),
    (cookies.Cookie, "contrib.cookies.Cookie"),
)


def prose(text: Any) -> list[str]:
    """Return *text*, a string or a list of strings, as Markdown paragraphs."""
    paragraphs = [text] if isinstance(text, str) else list(text or [])
    return [markdown(paragraph) for paragraph in paragraphs]


def markdown(text: str) -> str:
    """Translate Ansible's markup to Markdown, on one line."""
    line = " ".join(str(text).split())
    for pattern, replacement in MARKUP:
        line = pattern.sub(replacement, line)
    return line


def literal(value: Any) -> str:
    """Return *value* as one would write it in YAML."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def facts(option: Mapping[str, Any]) -> str:
    """Summarize type, necessity, default and choices of an option in one line."""
    kind = option.get("type", "str")
    parts = [f"{kind} of {option['elements']}" if "elements" in option else kind]
    if option.get("required"):
        parts.append("required")
    if option.get("default") is not None:
        parts.append(f"default `{literal(option['default'])}`")
    if option.get("choices"):
        parts.append("one of " + ", ".join(f"`{choice}`" for choice in option["choices"]))
    if option.get("aliases"):
        parts.append("alias " + ", ".join(f"`{alias}`" for alias in option["aliases"]))
    return ", ".join(parts)


def option_lines(options: Mapping[str, Any], nested: str, depth: int = 0) -> Iterator[str]:
    """Yield the Markdown list of *options*; what is below the key *nested* becomes an inner list."""
    indent = "  " * depth
    for name, option in options.items():
        yield " ".join([f"{indent}- **`{name}`** ({facts(option)}):", *prose(option.get("description"))])
        if option.get(nested):
            yield from option_lines(option[nested], nested, depth + 1)


def page(title: str, source: str, *sections: list[str]) -> str:
    """Put a page together; every section is a list of lines."""
    head = [NOTE.format(source=source), "", f"# {title}"]
    return "\n".join(line for section in (head, *sections) if section for line in (*section, "")).rstrip("\n") + "\n"


def spaced(paragraphs: list[str]) -> list[str]:
    """Separate paragraphs with empty lines."""
    return "\n\n".join(paragraphs).splitlines()


def role_page(spec_file: Path) -> str:
    """Return the page of the role that *spec_file* describes."""
    sections = []
    for entry_point, spec in yaml.safe_load(spec_file.read_text())["argument_specs"].items():
        if entry_point != "main":
            sections.append([f"## Entry point {entry_point}"])
        sections += [prose(spec.get("short_description")), spaced(prose(spec.get("description")))]
        sections += [["## Variables"], list(option_lines(spec.get("options", {}), "options"))]
    return page(f"Role {spec_file.parts[-3]}", str(spec_file.relative_to(ROOT)), *sections)


def assigned_strings(source: Path) -> dict[str, str]:
    """Return the string constants that *source* assigns, at any depth: DOCUMENTATION, EXAMPLES, RETURN."""
    return {
        target.id: node.value.value
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def documentation(source: Path) -> dict[str, Any]:
    """Return the documentation of a module, its fragments merged in as Ansible does."""
    merged: dict[str, Any] = yaml.safe_load(assigned_strings(source)["DOCUMENTATION"])
    for name in merged.get("extends_documentation_fragment", []):
        file_name, _separator, part = name.removeprefix("keyfleet.redis.").partition(".")
        fragment_file = ROOT / "plugins" / "doc_fragments" / f"{file_name}.py"
        for section, content in yaml.safe_load(assigned_strings(fragment_file)[part.upper() or "DOCUMENTATION"]).items():
            if isinstance(content, list):
                merged[section] = [*merged.get(section, []), *content]
            else:
                merged[section] = {**merged.get(section, {}), **content}
    return merged


def module_page(source: Path) -> str:
    """Return the page of one module."""
    strings, doc = assigned_strings(source), documentation(source)
    returned = yaml.safe_load(strings["RETURN"]) or {}
    attributes = [
        f"- **{name}**: {' '.join([str(attribute['support']) + '.', *prose(attribute.get('details') or attribute.get('description'))])}"
        for name, attribute in doc.get("attributes", {}).items()
    ]
    return page(
        f"Module keyfleet.redis.{source.stem}",
        str(source.relative_to(ROOT)),
        [markdown(doc["short_description"]) + "."],
        spaced(prose(doc["description"])),
        ["## Requirements", "", *(f"- {line}" for line in prose(doc["requirements"]))] if doc.get("requirements") else [],
        ["## Options", "", *option_lines(doc.get("options", {}), "suboptions")],
        ["## Attributes", "", *attributes] if attributes else [],
        ["## Notes", "", *(f"- {line}" for line in prose(doc["notes"]))] if doc.get("notes") else [],
        ["## Examples", "", "```yaml", strings["EXAMPLES"].strip("\n"), "```"],
        ["## Return values", "", *option_lines(returned, "contains")] if returned else [],
    )


def repeats_page() -> str:
    """Return the page that says which command the client sends again when its reply was lost."""
    kinds = [kind for kind in vars(_kinds).values() if isinstance(kind, Kind)]
    repeatable = {kind.name for kind in kinds if kind.repeat is not Repeat.NEVER}
    sections = []
    for repeat, by_execute in ((Repeat.READ, _kinds.READS), (Repeat.SAME, _kinds.SAMES), (Repeat.NEVER, None)):
        named = []
        for name in sorted({kind.name for kind in kinds if kind.repeat is repeat}):
            condition = " with an option that depends on what was there" if repeat is Repeat.NEVER and name in repeatable else ""
            named.append(f"`{name}`{condition}")
        others = "all others" if by_execute is None else ", ".join(f"`{name}`" for name in sorted(by_execute))
        title = "Never sent again" if repeat is Repeat.NEVER else "Sent again"
        sections.append([f"## {title}: {repeat.value}", "", f"Calls of the client: {', '.join(named)}.", "", f"By `execute`: {others}."])
    intro = [
        "What was surely not run is sent again while the budget of the call lasts. This page is about commands that were sent and whose",
        "reply did not come. One that is never sent again raises `OutcomeUnknown`. A script is sent again if it was made with",
        "`repeatable=True`, and so is what `execute` was given with that. `execute` knows names alone: what is named differently there",
        "has options with which running it twice is not running it once. The calls of a pipeline or transaction that a lost connection",
        "left unanswered are sent again together, if each of them may be and none of them reads what another one of the pipeline changes.",
    ]
    return page("What is sent again", "python_lib/keyfleet/_protocol/kinds.py", intro, *sections)


def api_page() -> str:
    """Return the page of all calls of the client, from their docstrings."""
    sections = [
        [
            "Every call is one of `Client`, and of `AsyncClient` with `await` before what waits (`async for` over `scan`, `async with` for",
            "blocks). A pipeline takes the calls marked †. [Guarantees](../../client/guarantees.md) say what is tried again when.",
        ]
    ]
    queued = {name for name in dir(Pipeline) if not name.startswith("_")}
    for base in Client.__mro__:
        if not base.__module__.startswith("keyfleet._sync") or base is Client:
            continue
        calls = {name: member for name, member in vars(base).items() if not name.startswith("_")}
        sections.append([f"## {docstring(base)[0].rstrip('.')}"])
        sections += [api_entry(name, member, name in queued) for name, member in calls.items()]
    for kind, title in ((Pipeline, "Pipelines"), (Script, "Scripts"), (Subscription, "Subscriptions"), (Policy, "Policy")):
        sections += [[f"## {title}"], made_as(kind), docstring(kind)]
        for name, member in vars(kind).items():
            if callable(member) and (not name.startswith("_") or name == "__call__"):
                sections.append(api_entry(name, member, False))
    return page("Python client", "the docstrings of python_lib/keyfleet/_async", *sections)


def made_as(kind: type) -> list[str]:
    """Return the fields of a dataclass with their defaults, as code; nothing for other classes."""
    return ["```python", f"{kind.__name__}{shown(inspect.signature(kind))}", "```"] if dataclasses.is_dataclass(kind) else []


def shown(signature: inspect.Signature) -> str:
    """Return a signature as one would write it, with ``…`` for a default that is a mark."""
    text = str(signature.replace(return_annotation=signature.return_annotation or inspect.Signature.empty)).replace(repr(MISSING), "…")
    return re.sub(r"""(: |-> )(['"])((?:(?!\2).)*)\2""", r"\1\3", text).replace("'", '"')


def capabilities_page() -> str:
    """Return the page of what the client's capabilities offer, from their docstrings."""
    sections = [["Each is an attribute of `Client`, and of `AsyncClient` with `await` before what waits."]]
    for kind, title in CAPABILITIES:
        sections += [[f"## {title}"], docstring(kind)]
        bases = [base for base in reversed(kind.__mro__) if base.__module__.startswith("keyfleet.")]
        members = {name: member for base in bases for name, member in vars(base).items() if not name.startswith("_")}
        sections += [
            api_entry(name, member, False)
            for name, member in members.items()
            if (inspect.isfunction(member) or isinstance(member, property)) and docstring(member) != [""]
        ]
    return page("Capabilities of the client", "the docstrings of python_lib/keyfleet", *sections)


def api_entry(name: str, member: Any, is_queued: bool) -> list[str]:
    """Return the section of one call or property."""
    heading = f"### `{name}`{' †' if is_queued else ''}"
    if isinstance(member, property):
        return [heading, "", *docstring(member)]
    call = getattr(member, "__func__", member)
    signature = inspect.signature(call)
    parameters = [item for item in signature.parameters.values() if item.name not in ("self", "cls")]
    return [heading, "", "```python", f"{name}{shown(signature.replace(parameters=parameters))}", "```", "", *docstring(call)]


def docstring(subject: Any) -> list[str]:
    """Return the docstring of *subject* as Markdown: sections become lists, indented examples code."""
    lines: list[str] = []
    section = example = False
    for line in (inspect.getdoc(subject) or "").splitlines():
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if not indent and text in ("Args:", "Returns:", "Raises:", "Attributes:", "Yields:"):
            lines += ["", f"**{text.removesuffix(':')}**", ""]
            section = True
        elif section and indent == 4:
            names, colon, rest = text.partition(": ")
            is_named = bool(colon) and all(re.fullmatch(r"\*?\w+", word) for word in names.split(", "))
            lines.append(f"- {', '.join(f'`{word}`' for word in names.split(', '))}: {rest}" if is_named else f"- {text}")
        elif indent and not section:
            lines += ["", "```python"] if not example else []
            lines.append(line[4:])
            example = True
            continue
        else:
            section = section and bool(indent or not text)
            lines.append(f"  {text}" if section and text else text)
        if example:
            lines.insert(-1, "```")
            example = False
    return _single_spaced([*lines, *(["```"] if example else [])])


def _single_spaced(lines: list[str]) -> list[str]:
    spaced_once = [line for position, line in enumerate(lines) if line or (position and lines[position - 1])]
    return [line.replace("``", "`") if not line.startswith("```") else line for line in spaced_once]


def index_page(pages: Mapping[Path, str]) -> str:
    """Return the list of all *pages*."""
    links = [f"- [{text.splitlines()[2].removeprefix('# ')}]({path})" for path, text in pages.items()]
    return page("Reference", "the sources that the pages name", links)


def pages() -> dict[Path, str]:
    """Return every page by its path below docs/reference."""
    made = {Path("roles", f"{spec.parts[-3]}.md"): role_page(spec) for spec in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))}
    made |= {Path("modules", f"{source.stem}.md"): module_page(source) for source in sorted(ROOT.glob("plugins/modules/*.py"))}
    made[Path("client", "api.md")] = api_page()
    made[Path("client", "capabilities.md")] = capabilities_page()
    made[Path("client", "repeats.md")] = repeats_page()
    return {Path("README.md"): index_page(made), **made}


def main() -> int:
    """Write the pages, or name those that are out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")
    check = parser.parse_args().check
    wanted = pages()
    ours = [*REFERENCE.glob("README.md"), *REFERENCE.glob("roles/*.md"), *REFERENCE.glob("modules/*.md"), *REFERENCE.glob("client/*.md")]
    found = {path.relative_to(REFERENCE): path.read_text() for path in ours}
    differing = sorted(str(path) for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    if check:
        if differing:
            print(f"docs/reference is out of date: {', '.join(differing)}; run 'make docs'.", file=sys.stderr)
        return 1 if differing else 0
    for path in found.keys() - wanted.keys():
        (REFERENCE / path).unlink()
    for path, text in wanted.items():
        (REFERENCE / path).parent.mkdir(parents=True, exist_ok=True)
        (REFERENCE / path).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
