"""Files that serve a bundle on several machines; one module for each target of `deploy`."""
