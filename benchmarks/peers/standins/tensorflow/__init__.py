"""Stand-in for TensorFlow: only named by an import."""
