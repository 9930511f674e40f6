"""The dashboard's pages: HTML for people, made here and kept up to date while it is looked at.

A page is a row (`page.Page`): a path, a function that reads what it shows, a template. Everything is
rendered on this side, so a page is whole without JavaScript; what changes while somebody looks is
rendered by the same template and sent as the parts that changed (`parts`, `live`, `stream`). Whoever acts
does so through `/api/v1`: there is no second way to change anything.

To add a page: a file with its `PAGE`, a line in `table.py`, a template in `templates/`. Styles and
modules are in `static/`, all of them small and our own.
"""
