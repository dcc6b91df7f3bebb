"""The demonstration: the product's main job done on the flights of New York in 2013.

`data` reads and checks the tables, `task` says what is predicted and from what, `steps` runs from the
table to a published bundle, `traffic` replays the second half of the year against a live server,
`probe` measures it, and `story` is the whole of it in order.
"""
