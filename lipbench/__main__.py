"""`python -m lipbench` is the command `lipbench`."""

from lipbench.cli import main

if __name__ == "__main__":
    main()
