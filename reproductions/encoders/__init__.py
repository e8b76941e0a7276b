"""Sequential encoders under one protocol: model x data set, every number with its interval.

Leave-one-out, every item of the catalogue ranked, items already seen masked, ties counted against the model, the best
epoch chosen on the validation events, and the test events looked at once. The table is filled run by run: what is done
is kept in the work folder and not run again, and what the result file holds of other runs stays in it. Beside the table
stand what HSTU's parts are worth on a stream of ever new items (``--only stream``), and what an encoder is worth to an
agent (``--only loop``).

Published figures come from the papers' own protocols, which differ in preprocessing and in what is masked; they are the
reference that a claim names, not something that our numbers are adjusted to.
"""
