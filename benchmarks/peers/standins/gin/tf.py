"""Imported for its effect on TensorFlow, of which there is none here."""
