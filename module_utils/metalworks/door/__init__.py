"""The pages of the platform: which there are, who may open them, and what hub and door are told of them."""
