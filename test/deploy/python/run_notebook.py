"""Runs a notebook's code cells in order, in the folder that is given, by IPython itself. Prints what became of each as JSON.

A cell that fails ends the run, as "Run all" does.
"""
import json
import os
import sys

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
os.chdir(sys.argv[2])
shell = InteractiveShell.instance()
answers = []
for cell in notebook.cells:
    if cell.cell_type != "code":
        continue
    with capture_output() as captured:
        result = shell.run_cell(cell.source)
    shown = [sorted(output.data) for output in captured.outputs]
    answers.append({"id": cell.id, "ok": result.success, "text": captured.stdout + captured.stderr, "shown": shown})
    if not result.success:
        break
print(json.dumps(answers))
