"""``python -m sep_evaluator.cli.compile_ahead`` fills the cache of compiled machine code.

Run it when the stack is installed, so that the first start of a service does not have to compile.
"""

from sep_evaluator.domain.compile_ahead import compile_ahead

if __name__ == "__main__":
    compile_ahead()
