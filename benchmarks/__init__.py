"""The figures: each benchmark states goal, figure, unit and ratio in one run."""
