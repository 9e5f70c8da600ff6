"""Formulas as MathML, which browsers draw by themselves: no script, no network."""

import re

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)

# A function's name keeps its distance from what is around it, but for its bracket.
_FUNCTION = re.compile(r"<mi>([a-z]{2,})</mi>(?=(<mo[^>]*>(?:\(|&#x00028;))?)")


def to_mathml(latex, display):
    """MathML of a formula."""
    try:
        mathml = convert(latex, display=display)
    except Exception as error:
        error.add_note(f"in the formula {latex!r}")
        raise
    mathml = mathml.replace(r"\_", "_")
    # Browsers know no mathvariant but "normal".
    mathml = mathml.replace('mathvariant="monospace"', 'style="font-family: monospace"')
    return _FUNCTION.sub(_space, mathml)


def _space(match):
    after = 0 if match[2] else 0.167
    return f'<mo lspace="0.167em" rspace="{after}em">{match[1]}</mo>'


def _convert(node, display):
    mathml = to_mathml(node.astext(), display)
    if "\\" in mathml:  # the converter prints commands it does not know
        logger.warning("unknown command in %r", node.astext(), location=node)
    return mathml


def visit_inline(translator, node):
    """Write a formula in a line of text."""
    translator.body.append(_convert(node, "inline"))
    raise nodes.SkipNode


def visit_block(translator, node):
    """Write a formula on lines of its own; wide ones scroll by themselves."""
    translator.body.append(f'<div class="formula">{_convert(node, "block")}</div>')
    raise nodes.SkipNode


def setup(app):
    """Register the renderer as ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
