"""Parameter sweeps that are judged out of sample and against null runs."""
