"""Templates of the HTML pages."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(name: str, contents: Mapping[str, object]) -> str:
    """Return a page as HTML.

    Args:
        name: the file name of the template in this package.
        contents: the variables of the template; its text is escaped.
    """
    environment = Environment(
        loader=PackageLoader("adaptune.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(name).render(contents)
