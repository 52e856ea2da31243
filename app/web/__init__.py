"""Pages for a browser, made by the server; calls services as `app.api` does, and is imported by `main` alone."""
