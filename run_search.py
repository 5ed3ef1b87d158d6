"""`python run_search.py --space cycada.yaml`: see `--help`."""

from adaptune.cli.app import run_search_script

if __name__ == "__main__":
    run_search_script()
