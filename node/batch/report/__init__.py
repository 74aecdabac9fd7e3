"""An evaluation as one page of HTML that needs nothing but a browser. Statistics come from `node.batch.evaluate`.

page        puts the sections together and writes the file (`write_report`)
sections/   one file a section: what stands in its tables and figures
plots       box plots, Bland-Altman plots, intervals, as SVG that follows light and dark
pictures    worst cases: sagittal cuts with the outlines of reference and prediction
views       reads a case again for its picture
document    the page as data: what the template needs to know
subject     what a page is about
published   figures of papers, for comparison
svg         figures of matplotlib within a page
words       numbers and names as readers want them
"""
