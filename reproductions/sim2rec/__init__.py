"""Sim2Rec (arXiv 2305.04832): a policy that recognises its world survives the move to one it never saw."""
