"""Whether the model still fits: drift, hit rates of what was shown, ages; and when it is trained again."""
