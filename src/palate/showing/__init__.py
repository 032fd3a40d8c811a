"""How things look: numbers and names cut short, as text and as HTML, and lines that change while something runs."""
