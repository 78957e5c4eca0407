"""What leaves a run: the bundle, its engine, and the way to the registry's aliases."""
