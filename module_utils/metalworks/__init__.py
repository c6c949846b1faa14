"""Code that the modules, plugins and the lab's builder share, in folders by subject."""
