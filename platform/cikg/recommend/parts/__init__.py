"""What methods are made of: losses, samplers, propagation, linear algebra, gates."""
