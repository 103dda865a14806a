"""Making networks smaller: quantisation-aware training, structured pruning, distillation."""
