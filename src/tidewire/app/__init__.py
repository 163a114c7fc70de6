"""The composition root: settings and adapters meet here and nowhere else."""
