"""What runs inside the sandbox: standard library only, in a fresh interpreter, never in balora's own process."""
