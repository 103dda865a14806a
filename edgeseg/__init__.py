"""edgeseg: from labelled pictures to a live edge device without the masks going wrong on the way.

Importing this package loads no torch: the verbs that need it import it themselves, so that a device which only
streams never pays for it.
"""

__version__ = "0.1.0"
