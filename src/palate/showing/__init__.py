"""How things look, as text, as HTML and as lines that change: what every room above may show with."""
