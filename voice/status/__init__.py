"""What works, what does not and what is used instead: for the public page, the API, and the banners."""
