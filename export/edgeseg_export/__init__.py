"""From a PyTorch module and a Contract to files a device runs, with proof that the masks are the same."""
