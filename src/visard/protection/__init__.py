"""Photos perturbed so that a model fine-tuned on them fails: the data-side baselines of IDDM."""
