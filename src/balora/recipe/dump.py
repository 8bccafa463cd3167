"""Recipe -> YAML that reads back to the same recipe."""

from __future__ import annotations

import io
from importlib.metadata import version

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from balora.recipe.schema import Recipe

_RARE_LINE_ENDS = set("\x85\u2028\u2029")
_HEADER = """\
# The resolved recipe: every setting of balora, with the defaults filled in. Under training stand those that shape the
# run; whatever is not there is as in transformers {version}.
"""


class _Representer(RoundTripRepresenter):
    """Writes an empty value as the word null, so that no line looks unfinished, and rare line ends as escapes."""

    def represent_none(self, _data: None) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")

    def represent_text(self, data: str) -> ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if _RARE_LINE_ENDS & set(data) else None)


_Representer.add_representer(str, _Representer.represent_text)
_Representer.add_representer(type(None), _Representer.represent_none)


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML with what shapes the run spelled out; `parse_recipe` of it gives an equal recipe."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.width = 120
    stream = io.StringIO()
    stream.write(_HEADER.format(version=version("transformers")))
    yaml.dump(recipe.model_dump(mode="json"), stream)
    return stream.getvalue()
