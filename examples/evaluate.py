"""Evaluates a trained model: accuracy, certificates, attacks and smoothing, over budgets.

    python examples/evaluate.py runs/camvid_s/best.keras --data camvid --size 120x160
    python examples/evaluate.py MODEL --data kvasir --size 128 --attacks fast --sigma 0.25

It is the command `deel-seg evaluate`, whose module `deel_seg_cli.evaluate` shows how the table is
made with `deel_seg.evaluate`.
"""

from deel_seg_cli.main import main

if __name__ == "__main__":
    import sys

    main(["evaluate", *sys.argv[1:]])
