"""PyG warns when it is first imported; `cikg.graph.pyg` imports it with that warning silenced."""

import cikg.graph.pyg  # noqa: F401
