"""The gate of instance models: do exported files show the original's objects?"""
