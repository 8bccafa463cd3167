"""What BA-LoRA costs: paired, gated measurements of the loss, the step, the start and the FLOPs."""
