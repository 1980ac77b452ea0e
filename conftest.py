"""Repository wiring: what the tests of the plugin stand on."""

pytest_plugins = ["pytester"]
