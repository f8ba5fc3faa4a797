"""Photos as people have them: whose face to teach, which pictures show it well, and how to cut them."""
