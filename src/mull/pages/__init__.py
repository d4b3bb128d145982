"""HTML and SVG components shared by the report, the server and the run browser: pure functions from data to markup.

No script, no request to anywhere, no torch: a page is one file that opens offline. Everything is escaped unless it is
`Markup`, so that what a model wrote can never become part of a page.
"""
