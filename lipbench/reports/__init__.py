"""Records -> tidy frame -> statistics -> tables, curves, figures, pages and the gate. Never imports torch."""
