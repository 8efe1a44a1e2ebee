"""The map: decoder directions laid out in two dimensions, so that similar features lie together.

``neighbours`` finds each direction's nearest ones, ``layout`` places them on a plane (t-SNE),
``keeping`` stores the plane, ``regions`` names its parts, ``mapper`` does it all in short slices.
"""
