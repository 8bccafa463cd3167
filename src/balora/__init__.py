"""balora: fine-tune language models with BA-LoRA (arXiv 2408.04556)."""
