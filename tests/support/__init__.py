"""What tests share: tiny models, tiny tokenizers, paths to real data."""
