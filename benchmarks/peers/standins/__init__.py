"""Stand-ins for libraries that RecSim and RecoGym import, but that their environments do not use.

RecSim 0.2.4 imports TensorFlow, Dopamine, gin, absl and gym as soon as one of its environments is imported; stepping
an environment runs numpy alone. RecoGym names gym's base class and one of its spaces. With this folder on the import
path, their own files run as they are, without these libraries. What stepping does not need is absent, so that using it
fails.
"""
