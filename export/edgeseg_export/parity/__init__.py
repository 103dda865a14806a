"""The parity gate: proof, on real pictures, that an exported file draws the masks of the model it came from.

`compare.Reference.of` draws the original's masks once, `compare.compare` measures an artifact against them,
`verdict.judge` holds the numbers against `thresholds`, and `report.write_report` shows it all on one page.
"""
