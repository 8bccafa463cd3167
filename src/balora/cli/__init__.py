"""The command line, `balora`: parse, call one function of the library, print; `balora.cli.main:main` runs one."""

__all__: list[str] = []
