"""The controller of a fleet: what is wanted lies in a bucket, one of several controllers acts.

It keeps nothing but the bucket: killed at any point, another one looks at what is and goes on.
"""
