"""From what was found to what people read: Markdown, one HTML page with its plots, and JSON."""
