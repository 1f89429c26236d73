"""Lists the images that a network was most sure of and wrong about, as a Markdown table. Standard library only."""

import csv
import sys

ROWS = 10


def main(predictions, report):
    with open(predictions, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = [row for row in rows if row["label"] != row["predicted"]]
    wrong.sort(key=lambda row: (-float(row["probability"]), row["path"]))
    with open(report, "w", encoding="utf-8") as file:
        file.write(f"{len(wrong)} of {len(rows)} images are taken for something else.\n\n")
        file.write("| image | is | taken for | probability |\n|---|---|---|---|\n")
        for row in wrong[:ROWS]:
            file.write(f"| {row['path']} | {row['label']} | {row['predicted']} | {float(row['probability']):.3f} |\n")
    print(f"{len(wrong)} of {len(rows)} images are taken for something else")


main(*sys.argv[1:])
