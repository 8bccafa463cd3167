"""The command line, `balora`: parse, call one function of the library, print; `balora.cli.main:main` is the entry."""

__all__: list[str] = []
