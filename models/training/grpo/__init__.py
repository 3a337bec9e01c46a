"""Group relative policy optimisation (Shao et al., arXiv 2402.03300) with several rewards."""
