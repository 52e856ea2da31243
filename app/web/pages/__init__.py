"""One router for each group of pages; each page reads services and renders one template."""
