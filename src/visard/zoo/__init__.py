"""Published models: what is known of each, where its file lies here, and whether it is read rightly."""
