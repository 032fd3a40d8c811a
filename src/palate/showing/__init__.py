"""How things look: as text, as HTML, as live lines, as pictures."""
