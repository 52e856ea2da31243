"""One router for each kind of page; each page reads services and renders one template."""
