"""Training: the learner, which is the only thing that changes weights, and one spine for each kind of stage."""
