"""What a fit leaves behind, in codes: factors and their kin, the posterior, effects, side information."""
