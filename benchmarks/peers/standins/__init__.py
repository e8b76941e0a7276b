"""Stand-ins for libraries that RecSim imports, but that its environment modules do not use.

RecSim 0.2.4 imports TensorFlow, Dopamine, gin, absl and gym as soon as one of its environments is imported; stepping
an environment runs numpy alone. With this folder on the import path, RecSim's own files run as they are, without them.
What stepping does not need is absent, so that using it fails.
"""
