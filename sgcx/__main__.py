"""`python -m sgcx`."""

from __future__ import annotations


def main() -> None:
    from sgcx.cli.app import run

    run()


if __name__ == "__main__":
    main()
